"""Which GPUs of which node are given to whom in a round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from madang.scheduling.timeshare.jobs import Spread


class Space:
    """Free GPUs of each node, and who has the others."""

    def __init__(self, nodes: Sequence[int]) -> None:
        self.free = list(nodes)
        self.node_size = max(nodes, default=0)
        self.given: dict[str, Spread] = {}

    def take(self, job_id: str, spread: Spread) -> None:
        for node, gpus in spread:
            self.free[node] -= gpus
        self.given[job_id] = spread

    def give(self, job_id: str) -> Spread:
        spread = self.given.pop(job_id)
        for node, gpus in spread:
            self.free[node] += gpus
        return spread

    def fits(self, spread: Spread) -> bool:
        return all(self.free[node] >= gpus for node, gpus in spread)

    def copy(self) -> Space:
        other = Space(())
        other.free, other.node_size, other.given = list(self.free), self.node_size, {**self.given}
        return other

    def on(self, node: int) -> list[str]:
        """Who has GPUs of it, those with most GPUs in all first."""
        found = [
            (-sum(gpus for _, gpus in spread), job_id)
            for job_id, spread in self.given.items()
            if any(at == node for at, _ in spread)
        ]
        return [job_id for _, job_id in sorted(found)]

    def tightest(self, gpus: int) -> Spread | None:
        """All on the node that has least to spare."""
        rooms = [(room, node) for node, room in enumerate(self.free) if room >= gpus]
        return ((min(rooms)[1], gpus),) if rooms else None

    def widest(self, gpus: int, unit: int = 1) -> Spread | None:
        """From the nodes with most room; a replica's `unit` GPUs stay on one node."""
        rooms = [(-(room - room % unit), node) for node, room in enumerate(self.free)]
        return _fill(gpus, sorted(rooms))

    def shapes(self, gpus: int, unit: int = 1) -> Iterator[Spread]:
        """Ways to place so many, each with a different number on a node."""
        for most in range(min(self.node_size, gpus), 0, -1):
            most -= most % unit
            if not most:
                return
            rooms = [(room, node) for node, room in enumerate(self.free) if room >= most]
            full, rest = divmod(gpus, most)
            if len(rooms) < full:
                continue
            rooms.sort()
            chosen = [(node, most) for _, node in rooms[:full]]
            if rest:
                used = {node for node, _ in chosen}
                left = [
                    (room, node)
                    for node, room in enumerate(self.free)
                    if room >= rest and node not in used
                ]
                if not left:
                    continue
                chosen.append((min(left)[1], rest))
            yield tuple(chosen)
        spread = self.widest(gpus, unit)
        if spread is not None:
            yield spread


def _fill(gpus: int, rooms: list[tuple[int, int]]) -> Spread | None:
    spread = []
    for room, node in rooms:
        taken = min(-room, gpus)
        if taken:
            spread.append((node, taken))
            gpus -= taken
        if not gpus:
            return tuple(spread)
    return None
