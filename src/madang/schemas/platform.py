"""The platform as a whole."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """`status` is "ok"; a platform that does not answer is not."""

    status: str
    version: str


@dataclass(frozen=True, slots=True)
class Draining:
    """`live` is how many workloads have not ended yet."""

    live: int
