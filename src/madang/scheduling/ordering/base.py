"""What an order is."""

from __future__ import annotations

from typing import Protocol

from madang.scheduling.model import Request, Running

Key = tuple[float, float, str]

ALWAYS, NEVER = float("-inf"), float("inf")


class Shares(Protocol):
    """What an order may ask of its queue; changes with every placement."""

    def held_by(self, user: str) -> float:
        """The largest share of any resource of the cluster that the user holds in this queue."""

    def used_by(self, user: str) -> float:
        """Accelerator seconds that the user has had in this queue, older ones counting less."""


class Order(Protocol):
    """Smaller goes first: first by `rank` of the request's subject, asked anew after every
    placement, then by `key`, which does not change while it waits."""

    preempts: bool
    """Whether higher priority may stop lower in a queue of this order."""
    takes_turns: bool
    """Whether newcomers may stop those of their own priority who have had a first turn, also in
    other queues of such an order."""
    drifts: bool
    """Whether ranks change as time goes by, though nothing happens."""

    def subject(self, request: Request) -> str:
        """Those who take turns: a user, or empty for everybody together."""

    def key(self, request: Request) -> Key:
        """The order of one subject's requests; ends with the id, so that no two are equal."""

    def rank(self, subject: str, shares: Shares) -> float:
        """Whose turn it is."""

    def stage(self, request: Request) -> int:
        """Those of a later stage may stop fewer of those who run."""

    def turn_ends(self, run: Running) -> float:
        """Until when one that runs is to be spared, if others can be stopped instead."""

    def stops_from(self, request: Request, run: Running) -> float:
        """From when on one that waits may stop one that runs in the same queue."""

    def yields_from(self, request: Request, run: Running) -> float:
        """The same for being new alone, whatever the priority."""


class Staying:
    """What orders have in common in which nobody is stopped for another of the queue."""

    preempts = False
    takes_turns = False
    drifts = False

    def stage(self, request: Request) -> int:
        return 0

    def turn_ends(self, run: Running) -> float:
        return ALWAYS

    def stops_from(self, request: Request, run: Running) -> float:
        return NEVER

    def yields_from(self, request: Request, run: Running) -> float:
        return NEVER
