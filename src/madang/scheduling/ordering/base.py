"""What an order is."""

from __future__ import annotations

from typing import Protocol

from madang.scheduling.model import Request

Key = tuple[float, float, str]


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

    drifts: bool
    """Whether ranks change as time goes by, though nothing happens."""

    def subject(self, request: Request) -> str:
        """Those who take turns: a user, or empty for everybody together."""

    def key(self, request: Request) -> Key:
        """The order of one subject's requests; ends with the id, so that no two are equal."""

    def rank(self, subject: str, shares: Shares) -> float:
        """Whose turn it is."""
