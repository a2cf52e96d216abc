"""In which order those who wait in one queue get their turn: one file an order."""

from __future__ import annotations

from madang.scheduling.ordering.base import Key, Order, Shares
from madang.scheduling.ordering.fair import FairOrder
from madang.scheduling.ordering.fifo import FifoOrder
from madang.scheduling.ordering.priority import PriorityOrder
from madang.scheduling.ordering.usage import UsageOrder

ORDERS: dict[str, Order] = {
    "fifo": FifoOrder(),
    "priority": PriorityOrder(),
    "fair": FairOrder(),
    "usage": UsageOrder(),
}
"""By the name that `Queue.ordering` has."""

TIME_SHARING = frozenset({"shortest", "attained", "goodput"})
"""Orders that decide in rounds who runs, and stop what runs for others."""


def order_of(name: str) -> Order:
    """The order of that name; those who share in time wait by priority for their round."""
    return ORDERS.get(name, ORDERS["priority"])


__all__ = ["ORDERS", "TIME_SHARING", "Key", "Order", "Shares", "order_of"]
