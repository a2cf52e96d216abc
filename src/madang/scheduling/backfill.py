"""What frees when: the earliest time at which something fits, and who may go before it.

EASY backfill (Lifka, "The ANL/IBM SP scheduling system", 1995) with several heads: the first few
that wait, one of each kind of resource and queue, *hold* their places from the earliest time at
which they fit; others may start meanwhile if what they take is not missing then.

A plain function of what it is told: the same releases, windows and holds give the same answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from madang.core.resources import Resources
from madang.scheduling.model import DeviceHold, Group, Placement, Reservation
from madang.scheduling.placement import Cluster

FOREVER = float("inf")


class Release(NamedTuple):
    """What a running replica holds and when it gives it back.

    sure: it ends by then (a time limit); otherwise `time` is an estimate, which serves expected
    starts and heads' holds but never windows. request_id: who holds it.
    """

    time: float
    node_id: str
    need: Resources
    devices: tuple[DeviceHold, ...] = ()
    sure: bool = True
    request_id: str = ""


class Profile:
    """Free space over time, from `now` on. `cluster` (what is free now) is not changed, and must
    not change while the profile is in use, except through `started`."""

    def __init__(
        self,
        cluster: Cluster,
        releases: Iterable[Release],
        now: float,
        windows: Iterable[Reservation] = (),
    ) -> None: ...

    def earliest(
        self, groups: Sequence[Group], duration: float | None = None, *, reservation: str = ""
    ) -> tuple[float, tuple[Placement, ...]] | None:
        """When all groups fit at their minimum beside what is held, and where; None: never with
        what is known. duration: how long it runs at most; None: for ever. `reservation`: the
        window that it may use."""

    def hold(
        self,
        holder: str,
        time: float,
        placements: Sequence[Placement],
        groups: Sequence[Group],
        duration: float | None = None,
    ) -> None:
        """Keep these places for `holder` (a request's id) from `time` on."""

    def spare(self, duration: float | None = None, *, reservation: str = "") -> Cluster:
        """What is free now and stays free of holds for `duration` (None: for ever): whatever is
        placed in it delays nobody. Own copy, kept between calls: what starts is to be taken from
        it by `started`."""

    def may_start(
        self,
        groups: Sequence[Group],
        placements: Sequence[Placement],
        duration: float | None = None,
        *,
        reservation: str = "",
    ) -> bool:
        """Whether starting it now at these places delays nothing that is held."""

    def delayed(
        self,
        groups: Sequence[Group],
        placements: Sequence[Placement],
        duration: float | None = None,
        *,
        reservation: str = "",
    ) -> str | None:
        """The holder (request or reservation id) that it would delay first; None: nobody."""

    def started(
        self,
        groups: Sequence[Group],
        placements: Sequence[Placement],
        duration: float | None = None,
    ) -> None:
        """It has started now at these places and was taken from the cluster: count it from here
        on, and as freed again after `duration`."""

    def freeing(
        self, placements: Collection[Placement], groups: Sequence[Group]
    ) -> tuple[Release, ...]:
        """The releases that these places wait for, in the order of time."""
