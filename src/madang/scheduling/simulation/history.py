"""The platform's own history, as `GET /api/v1/history` and its lists of nodes and queues give it.

`{"at": TIME, "nodes": […], "queues": […], "work": […]}` with the fields of `madang.schemas`; the
command line fetches it (`--from-history`) and can keep it in a file.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from madang.core.amounts import parse_amounts
from madang.core.errors import InvalidInput
from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Amounts, Device, Group, Node, Queue, Request
from madang.scheduling.simulation.table import open_text
from madang.scheduling.simulation.trace import Job, Trace, in_order, invalid, one_queue

_FETCH = "Fetch one with: madang simulate --from-history --save history.json"
_SAY_UNSEEN = (
    "Jobs of {} that you do not see, or that were deleted, are among these: their queues count as "
    "roots of weight 1 without guarantees or limits, so the outcome may differ from what an "
    "administrator gets."
)
_UNKNOWN_DURATION_S = 3600.0
"""Of what has never ran, when nothing else has ended either."""


def read(path: Path) -> Trace:
    """Raises InvalidInput naming the file and what is missing in it."""
    with open_text(path) as file:
        try:
            data = json.load(file)
        except ValueError as error:
            raise invalid(path.name, f"this is not JSON: {error}", _FETCH) from None
    return from_json(data, path.name)


def from_json(data: Any, name: str = "history") -> Trace:
    try:
        return _trace(data, name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise invalid(
            name,
            f"this is not a history of the platform ({type(error).__name__}: {error})",
            _FETCH,
        ) from None


def _trace(data: Mapping[str, Any], name: str) -> Trace:
    until = _seconds(data["at"])
    nodes = tuple(_node(node) for node in data["nodes"])
    labels = _labels(data["queues"])
    queues = tuple(_queue(queue, labels) for queue in data["queues"])
    names = {
        (queue.get("project"), name): labels[queue["id"]]
        for queue in data["queues"]
        for name in _names(queue)
    }
    works = [work for work in data["work"] if work["roles"]]
    durations = _Durations(works, until)
    jobs = [Job(_request(work, names), durations.of(work)) for work in works]
    if not jobs:
        raise InvalidInput(f"{name}: nothing ran in that time", hint="Go further back: --since.")
    ordered = [
        replace(job, request=replace(job.request, order=order))
        for order, job in enumerate(in_order(jobs))
    ]
    if not queues:
        return Trace(name, nodes, tuple(ordered), one_queue(ordered, "priority"))
    unseen = _unseen(ordered, queues)
    notes = (_SAY_UNSEEN.format(_how_many(unseen)),) if unseen else ()
    ordered = [_in_queue(job, unseen.get(job.request.queue)) for job in ordered]
    added = tuple(Queue(name, name) for name in unseen.values())
    return Trace(name, nodes, tuple(ordered), (*queues, *added), notes=notes)


def _labels(queues: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What queues are called, by id: their path, with the project where several have it."""
    paths = Counter(_path(queue) for queue in queues)
    return {
        queue["id"]: _path(queue)
        if paths[_path(queue)] == 1
        else f"{_path(queue)} ({queue.get('project') or 'platform'})"
        for queue in queues
    }


def _path(queue: Mapping[str, Any]) -> str:
    return str(queue.get("path") or queue["name"])


def _in_queue(job: Job, queue: str | None) -> Job:
    return job if queue is None else replace(job, request=replace(job.request, queue=queue))


def _unseen(jobs: Sequence[Job], queues: Sequence[Queue]) -> dict[str, str]:
    """Queues that jobs waited in and nothing is told of, with names for them: of projects that
    she who asked does not see, or deleted since."""
    ids = {job.request.queue for job in jobs} - {queue.id for queue in queues}
    return {id: f"not seen {number}" for number, id in enumerate(sorted(ids), start=1)}


def _how_many(queues: Collection[str]) -> str:
    return "1 queue" if len(queues) == 1 else f"{len(queues)} queues"


class _Durations:
    """How long things run: what ended, as it did; what runs or waits, as others of its kind."""

    def __init__(self, works: Sequence[Mapping[str, Any]], until: float) -> None:
        self._until = until
        self._of_template: dict[str, list[float]] = defaultdict(list)
        for work in works:
            if work["ended_at"] and work["runs"]:
                self._of_template[work["template"]].append(self._ran_s(work))
        self._all = [s for seconds in self._of_template.values() for s in seconds]

    def of(self, work: Mapping[str, Any]) -> float:
        ran_s = self._ran_s(work)
        if work["ended_at"] and work["runs"]:
            return ran_s
        alike = self._of_template.get(work["template"]) or self._all or [_UNKNOWN_DURATION_S]
        return max(ran_s, median(alike))

    def _ran_s(self, work: Mapping[str, Any]) -> float:
        return sum(
            (_seconds(run["end"]) if run["end"] else self._until) - _seconds(run["start"])
            for run in work["runs"]
        )


def _request(work: Mapping[str, Any], queues: Mapping[tuple[str | None, str], str]) -> Request:
    groups = tuple(
        Group(
            role["name"],
            role["replicas_min"],
            role["replicas_max"],
            Resources.parse(role["resources"]),
        )
        for role in work["roles"]
    )
    return Request(
        work["id"],
        work["id"],
        _queue_of(work, queues),
        groups,
        priority=work["priority"],
        user=work["user"],
        project=work["project"],
        submitted_at=_seconds(work["submitted_at"]),
        time_limit_s=work["time_limit_s"],
        preemptible=work["preemptible"],
        resizable=work["resizable"],
        template=work["template"],
    )


def _queue_of(work: Mapping[str, Any], queues: Mapping[tuple[str | None, str], str]) -> str:
    """Its project's queue of that name, or else the platform's."""
    name = work["queue"]
    of_project = queues.get((work["project"], name))
    return of_project or queues.get((None, name)) or name


def _node(node: Mapping[str, Any]) -> Node:
    return Node(
        node["id"],
        node["name"],
        round(node["cpu"] * MILLI),
        node["memory_bytes"],
        tuple(
            Device(
                device["kind"],
                device["index"],
                device["model"],
                device["memory_bytes"],
                device.get("profile", ""),
                device.get("numa_node", 0),
                device.get("link_group", -1),
            )
            for device in node["devices"]
        ),
        node["state"] == "ready",
        node.get("pool", ""),
        tuple(sorted(node.get("labels", {}).items())),
        tuple(sorted(node.get("counted", {}).items())),
    )


def _queue(queue: Mapping[str, Any], labels: Mapping[str, str]) -> Queue:
    label = labels[queue["id"]]
    return Queue(
        label,
        label,
        labels.get(queue["parent"] or "", ""),
        queue["weight"],
        _amounts(queue["guarantee"]) or (),
        _amounts(queue["limit"]),
        _amounts(queue["borrowing_limit"]),
        _amounts(queue["lending_limit"]),
        queue["reclaimable"],
        queue["ordering"],
        queue["min_runtime_s"],
        queue["open"],
    )


def _amounts(plain: Mapping[str, Any] | None) -> Amounts | None:
    return tuple(parse_amounts(plain, "amounts").items()) if plain else None


def _names(queue: Mapping[str, Any]) -> set[str]:
    """By what work may name its queue."""
    return {queue["id"], queue["name"], _path(queue)}


def _seconds(text: str) -> float:
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
