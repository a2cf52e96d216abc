"""By what a device is worth to each."""

from __future__ import annotations

from madang.scheduling.ordering.shortest import ShortestOrder


class GoodputOrder(ShortestOrder):
    """Sizes are decided in rounds by the price of each job's speed (`timeshare.elastic`), which is
    the higher, the sooner a job would end: those who wait are in that order."""
