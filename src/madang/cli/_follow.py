"""Showing a job as it runs: its log on stdout, what the platform says of it on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from madang.client import Client
    from madang.schemas.jobs import Job, LogText, StateChange

DETACHED = 130


def follow_job(
    client: Client,
    job: Job,
    *,
    quiet: bool = False,
    log: TextIO | None = None,
    rank: int | None = None,
    attempt: int | None = None,
    tail_bytes: int | None = None,
) -> int:
    """Print what the job writes until it has ended; the exit code to leave with.

    Ctrl-C leaves the job running and says how to go on.
    """
    several = job.replicas_max > 1 and rank is None
    screen = Screen(job, several=several, quiet=quiet, log=log or sys.stdout)
    try:
        for item in client.jobs.follow(job.id, rank=rank, attempt=attempt, tail_bytes=tail_bytes):
            screen.show(item)
    except KeyboardInterrupt:
        screen.finish_line()
        print(
            f"\nDetached; {job.name} goes on. `madang job logs -f {job.id}` shows it again, "
            f"`madang job cancel {job.id}` ends it.",
            file=sys.stderr,
        )
        return DETACHED
    screen.finish_line()
    return exit_code_of(screen.last)


def exit_code_of(change: StateChange | None) -> int:
    """The command's own exit code; 1 when it has none and did not end well."""
    if change is None:
        return 1
    if change.exit_code is not None:
        return change.exit_code
    return 0 if change.state == "succeeded" else 1


class Screen:
    """Prints the pieces; with `several` processes each line says whose it is."""

    def __init__(self, job: Job, *, several: bool, quiet: bool, log: TextIO) -> None:
        self._job = job
        self._quiet = quiet
        self._log = log
        self._several = several
        self._partial: dict[str, str] = {}
        self._ranks: dict[str, int] = {}
        self._at_line_start = True
        self.last: StateChange | None = None

    def show(self, item: LogText | StateChange) -> None:
        from madang.schemas.jobs import LogText

        if isinstance(item, LogText):
            self._show_text(item)
        else:
            self._show_state(item)

    def finish_line(self) -> None:
        """Print what a process left without an end of line."""
        for task_id, text in self._partial.items():
            self._write(f"[{self._ranks[task_id]}] {text}\n")
        self._partial.clear()
        if not self._at_line_start:
            self._write("\n")

    def _show_text(self, piece: LogText) -> None:
        if not self._several:
            self._write(piece.text)
            return
        *lines, rest = (self._partial.pop(piece.task_id, "") + piece.text).split("\n")
        if rest:
            self._partial[piece.task_id] = rest
            self._ranks[piece.task_id] = piece.rank
        self._write("".join(f"[{piece.rank}] {line}\n" for line in lines))

    def _write(self, text: str) -> None:
        if text:
            self._log.write(text)
            self._log.flush()
            self._at_line_start = text.endswith("\n")

    def _show_state(self, change: StateChange) -> None:
        told = self.last
        self.last = change
        if self._quiet:
            return
        same = told is not None and (told.state, told.reason) == (change.state, change.reason)
        if same or (change.state == "succeeded" and change.reason is None):
            return
        why = f": {change.reason.message}" if change.reason else ""
        again = f" (attempt {change.attempt})" if change.attempt > 1 else ""
        if not self._at_line_start and self._log.isatty():
            self._write("\n")
        print(f"{self._job.name} {change.state.value}{again}{why}", file=sys.stderr, flush=True)
