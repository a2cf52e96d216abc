"""Who runs, and what of what is held belongs to whom."""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterator

from madang.scheduling.model import Amounts, Running

UNKNOWN_RUNTIME_S = 3600.0
"""How long something is taken to run of which nothing is known; it serves expected starts only."""


class Run:
    """A request that runs. keys: of each of its live allocations, what it counts for. leaving:
    those of them that are being stopped."""

    __slots__ = ("keys", "leaving", "request", "told")

    def __init__(self, told: Running) -> None:
        self.told = told
        self.request = told.request
        self.keys: dict[str, Amounts] = {}
        self.leaving: set[str] = set()

    @property
    def since(self) -> float:
        return self.told.since

    def possible_keys(self, held: Container[str]) -> Iterator[str]:
        """Those of its keys under which something is held."""
        for group in self.request.groups:
            for number in range(group.first, group.first + group.replicas_max):
                key = f"{self.request.owner}/{group.role}/{number}"
                if key in held:
                    yield key

    def replicas(self, role: str) -> list[str]:
        """Keys of one role's live replicas that stay, the lowest number first."""
        prefix = f"{self.request.owner}/{role}/"
        keys = [k for k in self.keys if k.startswith(prefix) and k not in self.leaving]
        return sorted(keys, key=number_of)

    def end_at(self, now: float) -> tuple[float, bool]:
        """When it ends, and whether that is sure."""
        request = self.request
        if request.time_limit_s:
            return self.since + request.time_limit_s, True
        return end_at(self.since, request.expected_s, now), False

    def lost_s(self, now: float) -> float:
        """Task seconds of work that a stop would lose."""
        return max(0.0, now - max(self.since, self.told.saved_at)) * len(self.keys)


class Runs:
    """All that runs, by request; and whose an allocation is."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._by_owner: dict[str, list[Run]] = {}
        self._leaving: set[str] = set()
        self.preemptible: dict[str, dict[int, dict[str, Run]]] = {}
        """By queue, priority and id."""
        self._since: dict[str, list[tuple[float, str]]] = {}
        """By queue: since when preemptible ones run, the oldest first; with some that are gone."""
        self.resizable: dict[str, Run] = {}

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs.values())

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._runs

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, request_id: str) -> Run | None:
        return self._runs.get(request_id)

    def add(self, running: Running) -> Run:
        run = self._runs[running.request.id] = Run(running)
        request = running.request
        self._by_owner.setdefault(request.owner, []).append(run)
        if request.preemptible:
            by_priority = self.preemptible.setdefault(request.queue, {})
            by_priority.setdefault(request.priority, {})[request.id] = run
            since = self._since.setdefault(request.queue, [])
            heapq.heappush(since, (running.since, request.id))
        if request.resizable:
            self.resizable[request.id] = run
        return run

    def remove(self, run: Run) -> None:
        request = run.request
        del self._runs[request.id]
        self.resizable.pop(request.id, None)
        if request.preemptible:
            by_priority = self.preemptible[request.queue]
            del by_priority[request.priority][request.id]
            if not by_priority[request.priority]:
                del by_priority[request.priority]
            if not by_priority:
                del self.preemptible[request.queue]
        owned = self._by_owner[request.owner]
        owned.remove(run)
        if not owned:
            del self._by_owner[request.owner]

    def oldest(self, queue_id: str) -> float:
        """Since when the oldest preemptible one of this queue runs."""
        since = self._since.get(queue_id, [])
        while since:
            time, request_id = since[0]
            run = self._runs.get(request_id)
            if run is not None and run.since == time and run.request.queue == queue_id:
                return time
            heapq.heappop(since)
        return float("inf")

    def of(self, key: str) -> Run | None:
        """Whose a key is."""
        owner, role, number = key.rsplit("/", 2)
        runs = self._by_owner.get(owner)
        if not runs:
            return None
        if len(runs) == 1 and key in runs[0].keys:
            return runs[0]
        for run in runs:
            for group in run.request.groups:
                first = group.first
                if group.role == role and first <= int(number) < first + group.replicas_max:
                    return run
        return None

    def leave(self, key: str) -> None:
        """The task is being stopped."""
        self._leaving.add(key)

    def stayed(self, key: str) -> None:
        """It is not being stopped any more: it is gone."""
        self._leaving.discard(key)

    def is_leaving(self, key: str) -> bool:
        return key in self._leaving

    @property
    def leaving(self) -> tuple[str, ...]:
        return tuple(sorted(self._leaving))


def end_at(since: float, expected_s: float | None, now: float) -> float:
    """When something is expected to end. What outran what was expected of it is taken to run as
    long again, and so on."""
    lasts = max(1.0, expected_s or UNKNOWN_RUNTIME_S)
    while since + lasts <= now:
        lasts *= 2
    return since + lasts


def number_of(key: str) -> int:
    return int(key.rpartition("/")[2])
