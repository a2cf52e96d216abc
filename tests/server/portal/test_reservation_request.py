"""The form that reserves, its command line and its call in Python say the same."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from madang.core.errors import InvalidInput
from madang.server.portal.reservation_request import ReservationForm
from tests.server.portal.recorder import call_of_command_line, call_of_python

SEOUL = ZoneInfo("Asia/Seoul")
ONCE = ReservationForm(name="demo", start="2026-11-23T09:00", hours="1.5", gpu="8", cpu="2")
FORMS = [
    ONCE,
    replace(ONCE, name="much", replicas="2", gpu_model="H100|A100", memory="4GiB", pool="h100"),
    replace(ONCE, name="again", recurrence="weekdays", until="2026-12-24"),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("zone", [SEOUL, UTC], ids=str)
def test_reserving(form: ReservationForm, zone: tzinfo) -> None:
    asked = form.to_request(zone)
    line, python = form.lines(zone)
    command = call_of_command_line(shlex.split(line), "reservations")
    call = call_of_python(python)
    assert command.name == call.name == "reservations.create"
    assert command.words == (form.name, asked["start"])
    assert call.words == (form.name,)
    for name, value in call.options.items():
        assert value == asked[name]
        if name != "start":
            assert command.options[name] == value
    assert asked.keys() - {"name", "replicas", "timezone"} <= call.options.keys()


def test_times_are_those_of_the_visitor() -> None:
    asked = replace(ONCE, recurrence="daily", until="2026-11-30").to_request(SEOUL)
    assert asked["start"] == datetime(2026, 11, 23, tzinfo=UTC)
    assert asked["until"] - asked["start"] == timedelta(days=7, hours=15)


@pytest.mark.parametrize(
    ("field", "text"),
    [("start", "soon"), ("hours", "0"), ("hours", "x"), ("replicas", "two"), ("until", "")],
)
def test_what_can_t_be_read_is_told_at_its_field(field: str, text: str) -> None:
    form = replace(ONCE, **({"recurrence": "daily", "until": "2026-11-30"} | {field: text}))
    with pytest.raises(InvalidInput) as caught:
        form.to_request(SEOUL)
    assert caught.value.field == field
    assert form.lines(SEOUL)[1] == ""
