# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Jobs: running something, watching it, ending it."""

from __future__ import annotations

import time
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from madang.client._sync._base import Resource
from madang.client._convert import from_json
from madang.client._pack import pack
from madang.core.errors import ConnectionFailed
from madang.schemas import Page
from madang.schemas.events import Event
from madang.schemas.job_waits import JobPreview, JobWhy
from madang.schemas.jobs import (
    CodeBundle,
    Job,
    JobCreate,
    JobDetail,
    JobLog,
    LogText,
    MetricSeries,
    StateChange,
)

_AGAIN_S = (0.1, 0.5, 1.0, 2.0, 5.0)
_TRIES = 60


class Jobs(Resource):
    """`client.jobs`: what runs to completion. A job is meant by its id, or by its name: the
    newest of that name."""

    def list(
        self,
        *,
        project: str | None = None,
        state: Sequence[str] | None = None,
        user: str | None = None,
        name: str | None = None,
        queue: str | None = None,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """One page of the jobs that you see, newest first. `user="me"` for yours, `name` for a
        part of the name; `kind` for sessions or services instead."""
        params = {
            "project": project or self._project,
            "state": [str(one) for one in state] if state else None,
            "user": user,
            "name": name,
            "queue": queue,
            "kind": kind,
            "limit": limit,
            "cursor": cursor,
        }
        return self._transport.call(Page[Job], "GET", "jobs", params=params)

    def iterate(self, **filters: Any) -> Iterator[Job]:
        """All jobs that `list` would show with these filters, fetched page by page."""
        cursor = None
        while True:
            page = self.list(**filters, limit=200, cursor=cursor)
            for job in page.items:
                yield job
            if (cursor := page.next_cursor) is None:
                return

    def create(self, request: JobCreate) -> Job:
        """Run something: it is queued, and starts when there is room. It is run once, also when
        an answer is lost on the way and the request has to be repeated."""
        if request.project is None and self._project:
            request = replace(request, project=self._project)
        return self._transport.post_once(Job, "jobs", json=asdict(request))

    def run(self, command: Sequence[str], **options: Any) -> Job:
        """`create(JobCreate(command, ...))`, e.g. `run(["python", "train.py"], code="src",
        resources={"gpu": 0.5}, environment="vision")`.

        `code` may be a folder here: its files are sent and become the working directory.
        """
        code = options.get("code")
        if code and Path(code).is_dir():
            options["code"] = (self.upload_code(code, project=options.get("project"))).digest
        return self.create(JobCreate([*command], **options))

    def upload_code(
        self, folder: str | Path, names: Sequence[str] = (), *, project: str | None = None
    ) -> CodeBundle:
        """Send the files of a folder (only `names` in it, when given) for jobs to run. Hidden
        files, caches and what `.madangignore` names stay behind. Raises LimitExceeded."""
        answer = self._transport.request(
            "POST",
            "/api/v1/code",
            params={"project": project or self._project},
            content=pack(Path(folder), names),
            headers={"Content-Type": "application/x-tar"},
        )
        return from_json(CodeBundle, answer.json())

    def get(self, job: str, *, project: str | None = None) -> JobDetail:
        """One job with its tasks, inputs, and the request that would run it again."""
        return self._transport.call(
            JobDetail, "GET", _path(job), params={"project": project}
        )

    def cancel(self, job: str, *, project: str | None = None) -> Job:
        """Stop a job; safe to repeat."""
        return self._transport.call(
            Job, "POST", f"{_path(job)}/cancel", params={"project": project}
        )

    def clone(self, job: str, *, project: str | None = None) -> Job:
        """Run the same again."""
        return self._transport.call(
            Job, "POST", f"{_path(job)}/clone", params={"project": project}
        )

    def why(self, job: str, *, project: str | None = None) -> JobWhy:
        """Why a job waits, with the arithmetic for each group of nodes."""
        return self._transport.call(
            JobWhy, "GET", f"{_path(job)}/why", params={"project": project}
        )

    def move(self, job: str, queue: str, *, project: str | None = None) -> Job:
        """Have a job wait in (or count for) another queue."""
        return self._transport.call(
            Job, "POST", f"{_path(job)}/move", params={"project": project}, json={"queue": queue}
        )

    def set_priority(
        self, job: str, priority: int | str, *, project: str | None = None
    ) -> Job:
        """Change its priority: a number, or `low`, `normal`, `high`, `urgent`."""
        return self._transport.call(
            Job,
            "POST",
            f"{_path(job)}/priority",
            params={"project": project},
            json={"priority": priority},
        )

    def preview(self, request: JobCreate) -> JobPreview:
        """What would become of a job if it were submitted now; nothing is."""
        if request.project is None and self._project:
            request = replace(request, project=self._project)
        return self._transport.call(JobPreview, "POST", "jobs/preview", json=asdict(request))

    def events(
        self,
        job: str,
        *,
        project: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Event]:
        """What happened to a job and its tasks, newest first."""
        params = {"project": project, "limit": limit, "cursor": cursor}
        return self._transport.call(
            Page[Event], "GET", f"{_path(job)}/events", params=params
        )

    def metrics(
        self,
        job: str,
        *,
        project: str | None = None,
        keys: Sequence[str] | None = None,
        points: int = 500,
    ) -> Sequence[MetricSeries]:
        """The numbers that a job has reported over time, thinned to `points` each."""
        params = {"project": project, "key": [*keys] if keys else None, "points": points}
        path = f"/api/v1/{_path(job)}/metrics"
        answer = self._transport.request("GET", path, params=params)
        return [from_json(MetricSeries, one) for one in answer.json()]

    def log(
        self,
        job: str,
        *,
        project: str | None = None,
        rank: int = 0,
        attempt: int | None = None,
        offset: int = 0,
        tail_bytes: int | None = None,
    ) -> JobLog:
        """A part of a task's log: from byte `offset` on, or its last `tail_bytes`."""
        params = {
            "project": project,
            "rank": rank,
            "attempt": attempt,
            "offset": offset,
            "tail_bytes": tail_bytes,
        }
        return self._transport.call(JobLog, "GET", f"{_path(job)}/logs", params=params)

    def follow(
        self,
        job: str,
        *,
        rank: int | None = None,
        attempt: int | None = None,
        tail_bytes: int | None = None,
    ) -> Iterator[LogText | StateChange]:
        """What a job's tasks write (`LogText`) and each change of its state (`StateChange`), as
        it happens, until the job has ended.

        Goes on where it stopped when the connection is lost, e.g. while the server is restarted;
        raises ConnectionFailed when it stays away.
        """
        offsets: dict[str, int] = {}
        misses = 0
        while True:
            params = {
                "follow": True,
                "rank": rank,
                "attempt": attempt,
                "tail_bytes": tail_bytes,
                "offsets": ",".join(f"{name}:{byte}" for name, byte in offsets.items()) or None,
            }
            try:
                with self._transport.stream(
                    "GET", f"/api/v1/{_path(job)}/logs", params=params
                ) as response:
                    for name, data in _messages(response.iter_lines()):
                        misses = 0
                        if name == "log":
                            text = from_json(LogText, data)
                            offsets[text.task_id] = text.next_offset
                            yield text
                        elif name == "state":
                            change = from_json(StateChange, data)
                            yield change
                            if change.state.ended:
                                return
            except ConnectionFailed:
                if misses >= _TRIES:
                    raise
            time.sleep(_AGAIN_S[min(misses, len(_AGAIN_S) - 1)])
            misses += 1

    @contextmanager
    def stream_log(
        self,
        job: str,
        *,
        rank: int | None = None,
        tail_bytes: int | None = None,
        follow: bool = True,
    ) -> Iterator[Iterator[str]]:
        """The text of a job's log as it comes, in a `with` block: leaving it ends the stream.
        Without `follow` what there is now."""
        if follow:
            yield _texts(self.follow(job, rank=rank, tail_bytes=tail_bytes))
            return
        part = self.log(job, rank=rank or 0, tail_bytes=tail_bytes)
        yield _one(part.text)

    def wait(self, job: str) -> Job:
        """Wait until a job has ended, however it does."""
        for change in self.follow(job, tail_bytes=0):
            if isinstance(change, StateChange) and change.state.ended:
                break
        return (self.get(job)).job


def _messages(lines: Iterator[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Server-sent events: name and data."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def _texts(items: Iterator[LogText | StateChange]) -> Iterator[str]:
    for item in items:
        if isinstance(item, LogText):
            yield item.text


def _one(text: str) -> Iterator[str]:
    yield text


def _path(job: str) -> str:
    return f"jobs/{quote(job, safe='')}"
