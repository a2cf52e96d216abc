"""Recording what a planner is told and answers, and replaying it: the same in the same order.

A recording is JSON lines: `{"load": SNAPSHOT}`, `{"apply": [EVENT, …]}` and `{"plan": NOW,
"actions": [ACTION, …]}`; waits are not recorded, they are words. Times are seconds since 1970.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from madang.scheduling.model import Action, Event, Snapshot, Wait
from madang.scheduling.planner import Planner
from madang.scheduling.simulation.codec import decode, decode_tagged, encode, encode_tagged


class Recorder(Planner):
    """A planner that writes down what it is told and what it answers. Whoever made `file` closes
    it; each line is written at once."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__()
        self._file = file

    def load(self, snapshot: Snapshot) -> None:
        self._write({"load": encode(snapshot)})
        super().load(snapshot)

    def apply(self, events: Iterable[Event]) -> None:
        events = list(events)
        self._write({"apply": [encode_tagged(event) for event in events]})
        super().apply(events)

    def plan(self, now: float, *, waits: bool = True) -> list[Action]:
        actions = super().plan(now, waits=waits)
        done = [encode_tagged(action) for action in actions if not isinstance(action, Wait)]
        self._write({"plan": now, "actions": done})
        return actions

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
        self._file.flush()


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan of a recording, and what came of it now."""

    now: float
    recorded: list[Action]
    replayed: list[Action]

    @property
    def same(self) -> bool:
        return self.recorded == self.replayed


def replay(lines: Iterable[str]) -> Iterator[Plan]:
    """Tell a new planner the same; each of its plans beside the one that was recorded."""
    planner = Planner()
    for line in lines:
        told = json.loads(line)
        if "load" in told:
            planner.load(decode(told["load"], Snapshot))
        elif "apply" in told:
            planner.apply([decode_tagged(event) for event in told["apply"]])
        else:
            recorded = [decode_tagged(action) for action in told["actions"]]
            yield Plan(told["plan"], recorded, planner.plan(told["plan"], waits=False))
