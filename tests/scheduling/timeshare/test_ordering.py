"""In which order those who wait for a round stand in line."""

from __future__ import annotations

from madang.core.resources import Resources
from madang.scheduling.model import Group, Request, Work
from madang.scheduling.ordering import TIME_SHARING, order_of

GPU = Resources(device_kind="gpu", device_milli=1000)


def request(name: str, work: Work | None = None, order: int = 0, priority: int = 0) -> Request:
    group = Group("worker", 2, 2, GPU)
    return Request(name, name, "q", (group,), priority=priority, order=order, work=work)


def test_shorter_ones_come_first() -> None:
    for name in ("shortest", "goodput"):
        key = order_of(name).key
        short = request("short", Work(total=10, speeds=((2, 1.0),)))
        long = request("long", Work(total=1000, speeds=((2, 1.0),)))
        assert key(short) < key(long)
        assert key(request("urgent", priority=500)) < key(short)


def test_those_who_had_less_come_first_and_then_those_who_came_first() -> None:
    key = order_of("attained").key
    microseconds = 1_800_000_000_000_000
    had = request("had", Work(attained_gpu_s=4 * 3600.0), order=microseconds)
    first = request("first", Work(attained_gpu_s=3600.0), order=microseconds + 1000)
    second = request("second", order=microseconds + 2000)
    assert sorted([had, second, first], key=key) == [first, second, had]


def test_every_order_that_shares_in_time_is_known() -> None:
    assert {"shortest", "attained", "goodput"} == TIME_SHARING
    assert all(order_of(name) is not order_of("priority") for name in TIME_SHARING)
