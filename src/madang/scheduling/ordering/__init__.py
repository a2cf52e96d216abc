"""In which order those who wait in one queue get their turn: one file an order."""

from __future__ import annotations

from madang.scheduling.ordering.attained import AttainedOrder
from madang.scheduling.ordering.base import NEVER, Key, Order, Shares
from madang.scheduling.ordering.fair import FairOrder
from madang.scheduling.ordering.fifo import FifoOrder
from madang.scheduling.ordering.goodput import GoodputOrder
from madang.scheduling.ordering.newcomers import NewcomersOrder
from madang.scheduling.ordering.priority import PriorityOrder
from madang.scheduling.ordering.shortest import ShortestOrder
from madang.scheduling.ordering.usage import UsageOrder

ORDERS: dict[str, Order] = {
    "fifo": FifoOrder(),
    "priority": PriorityOrder(),
    "fair": FairOrder(),
    "usage": UsageOrder(),
    "newcomers": NewcomersOrder(),
}
"""By the name that `Queue.ordering` has."""

_SHARING: dict[str, Order] = {
    "shortest": ShortestOrder(),
    "attained": AttainedOrder(),
    "goodput": GoodputOrder(),
}
TIME_SHARING = frozenset(_SHARING)
"""Orders that decide in rounds who runs, and stop what runs for others."""


def order_of(name: str) -> Order:
    """The order of that name; `priority` if there is none."""
    return ORDERS.get(name) or _SHARING.get(name) or ORDERS["priority"]


__all__ = ["NEVER", "ORDERS", "TIME_SHARING", "Key", "Order", "Shares", "order_of"]
