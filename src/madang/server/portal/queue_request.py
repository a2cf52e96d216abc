"""What is typed for a queue, as a request and as the command or call that asks the same."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from typing import Any

from madang.core.amounts import split_amounts
from madang.core.errors import InvalidInput
from madang.schemas.queues import Amounts, Queue

AMOUNTS = ("guarantee", "limit", "borrowing_limit", "lending_limit")


@dataclass(frozen=True, slots=True)
class QueueForm:
    """What is typed, as text; a check is "yes" or nothing. Amounts are `gpu=8,memory=64GiB`."""

    name: str = ""
    parent: str = ""
    description: str = ""
    weight: str = "1"
    guarantee: str = ""
    limit: str = ""
    borrowing_limit: str = ""
    lending_limit: str = ""
    ordering: str = "priority"
    min_runtime_s: str = "0"
    reclaimable: str = "yes"
    open: str = "yes"

    @classmethod
    def of(cls, queue: Queue) -> QueueForm:
        """The form as it must be filled in to have the queue as it is."""
        return cls(
            name=queue.name,
            parent=queue.parent or "",
            description=queue.description,
            weight=f"{queue.weight:g}",
            **{name: amounts_text(getattr(queue, name)) for name in AMOUNTS},
            ordering=queue.ordering,
            min_runtime_s=f"{queue.min_runtime_s:g}",
            reclaimable="yes" if queue.reclaimable else "",
            open="yes" if queue.open else "",
        )

    def settings(self) -> dict[str, Any]:
        """All of it but the name, as the client takes it. Raises InvalidInput."""
        return {
            "parent": self.parent,
            "description": self.description,
            "weight": _number("weight", self.weight),
            **{name: parse_amounts_text(getattr(self, name), name) for name in AMOUNTS},
            "ordering": self.ordering,
            "min_runtime_s": _number("min_runtime_s", self.min_runtime_s or "0"),
            "reclaimable": bool(self.reclaimable),
            "open": bool(self.open),
        }

    def changes(self, before: QueueForm) -> dict[str, Any]:
        """What differs from before, as the client's `change` takes it."""
        wanted = {"name": self.name} | self.settings()
        return {name: wanted[name] for name in self._changed(before)}

    def create_lines(self, project: str) -> tuple[str, str]:
        """The command and the call that make it; without a project one of the platform."""
        words = ["madang", "queue", "create", self.name or "NAME"]
        words += self._options(QueueForm())
        words += ["--project", project] if project else ["--platform"]
        try:
            settings = {name: value for name, value in self.settings().items()
                        if name in self._changed(QueueForm())}  # fmt: skip
        except InvalidInput:
            return shlex.join(words), ""
        where = {"project": project} if project else {"platform": True}
        return shlex.join(words), _call(f"create({self.name!r}", where | settings)

    def change_lines(self, queue: Queue) -> tuple[str, str]:
        """The command and the call that make the queue so."""
        before = QueueForm.of(queue)
        words = ["madang", "queue", "update", queue.name, *self._options(before)]
        if self.name != before.name:
            words += ["--name", self.name]
        if queue.project:
            words += ["--project", queue.project]
        try:
            changes = self.changes(before)
        except InvalidInput:
            return shlex.join(words), ""
        return shlex.join(words), _call(f"change({queue.id!r}", changes)

    def _changed(self, before: QueueForm) -> list[str]:
        return [
            entry.name
            for entry in fields(QueueForm)
            if getattr(self, entry.name) != getattr(before, entry.name)
        ]

    def _options(self, before: QueueForm) -> list[str]:
        words: list[str] = []
        for name in self._changed(before):
            value = getattr(self, name)
            if name == "name":
                continue
            if name == "reclaimable":
                words.append("--reclaimable" if value else "--not-reclaimable")
            elif name == "open":
                words.append("--open" if value else "--closed")
            elif name == "min_runtime_s":
                words += ["--min-runtime", f"{value or 0}s"]
            else:
                empty = "none" if name in AMOUNTS else ""
                words += [f"--{name.replace('_', '-')}", value or empty]
        return words


FIELDS = tuple(entry.name for entry in fields(QueueForm))


def amounts_text(amounts: Amounts) -> str:
    """`gpu=8,memory=64GiB`."""
    return ",".join(f"{name}={value}" for name, value in amounts.items())


def parse_amounts_text(text: str, field: str) -> dict[str, Any]:
    """The inverse. Raises InvalidInput."""
    return dict(split_amounts([text], field))


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(
            f"{text!r} is not a number", field=name, hint="Write 2 or 0.5."
        ) from None


def _call(begin: str, options: dict[str, Any]) -> str:
    given = "".join(f",\n    {name}={value!r}" for name, value in options.items())
    return f"from madang.client import Client\n\nClient().queues.{begin}{given})"
