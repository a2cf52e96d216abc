"""What is typed to reserve, as a request and as the command or call that asks the same."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from madang.core.errors import InvalidInput
from madang.schemas.reservations import Recurrence

PARTS = ("cpu", "memory", "gpu", "gpu_model")


@dataclass(frozen=True, slots=True)
class ReservationForm:
    """What is typed, as text; times as the browser writes them (`2026-11-23T09:00`), of `zone`."""

    name: str = ""
    start: str = ""
    hours: str = "4"
    replicas: str = "1"
    gpu: str = ""
    gpu_model: str = ""
    cpu: str = ""
    memory: str = ""
    pool: str = ""
    recurrence: str = Recurrence.ONCE.value
    until: str = ""

    def to_request(self, zone: tzinfo) -> dict[str, Any]:
        """What the client's `create` takes. Raises InvalidInput naming the field."""
        asked: dict[str, Any] = {
            "name": self.name,
            "start": _moment("start", self.start, zone),
            "duration_s": _hours(self.hours) * 3600,
            "resources": {part: getattr(self, part) for part in PARTS if getattr(self, part)},
            "replicas": _count(self.replicas),
            "timezone": str(zone),
        }
        if self.pool:
            asked["pool"] = self.pool
        if self.recurrence != Recurrence.ONCE:
            asked["recurrence"] = Recurrence(self.recurrence)
            asked["until"] = _end_of_day("until", self.until, zone)
        return asked

    def lines(self, zone: tzinfo) -> tuple[str, str]:
        """The command line and the Python call; of what can't be read yet, as it is typed."""
        return self._command_line(zone), self._python_call(zone)

    def _command_line(self, zone: tzinfo) -> str:
        words = ["madang", "reservation", "create", self.name or "NAME"]
        words += ["--start", _loose(_moment, "start", self.start, zone)]
        words += ["--for", f"{self.hours or '4'}h"]
        for part in (*PARTS, "pool"):
            if value := getattr(self, part):
                words += [f"--{part.replace('_', '-')}", value]
        if self.replicas not in ("", "1"):
            words += ["--replicas", self.replicas]
        if self.recurrence != Recurrence.ONCE:
            words += ["--repeat", self.recurrence, "--timezone", str(zone)]
            words += ["--until", _loose(_end_of_day, "until", self.until, zone)]
        return shlex.join(words)

    def _python_call(self, zone: tzinfo) -> str:
        try:
            asked = self.to_request(zone)
        except InvalidInput:
            return ""
        if "recurrence" in asked:
            asked["recurrence"] = asked["recurrence"].value
        else:
            asked.pop("timezone")
        if asked["replicas"] == 1:
            asked.pop("replicas")
        name = asked.pop("name")
        options = "".join(f",\n    {key}={_python(value)}" for key, value in asked.items())
        return (
            "from datetime import datetime\n\nfrom madang.client import Client\n\n"
            f"Client().reservations.create({name!r}{options})"
        )


FIELDS = tuple(entry.name for entry in fields(ReservationForm))


def _python(value: object) -> str:
    if isinstance(value, datetime):
        return f"datetime.fromisoformat({value.isoformat()!r})"
    return repr(value)


def _moment(name: str, text: str, zone: tzinfo) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError:
        raise InvalidInput(
            f"{text!r} is no time", field=name, hint="Choose a day and a time."
        ) from None


def _end_of_day(name: str, text: str, zone: tzinfo) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"{text!r} is no day", field=name, hint="Choose the last day."
        ) from None
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)


def _loose(
    read: Callable[[str, str, tzinfo], datetime], name: str, text: str, zone: tzinfo
) -> str:
    """A time for the command line; as it was typed when it can't be read."""
    try:
        return read(name, text, zone).isoformat(timespec="minutes")
    except InvalidInput:
        return text or name.upper()


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours < 24 * 366:
        raise InvalidInput(
            f"{text!r} is no length in hours", field="hours", hint="Write 4 or 1.5."
        )
    return hours


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not a whole number", field="replicas") from None
