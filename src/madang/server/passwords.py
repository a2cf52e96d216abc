"""Password hashes: argon2id, computed in a thread and two at a time.

One hash takes 19 MiB for a moment (the parameters that OWASP recommends): a flood of logins must
take neither the event loop nor the machine's memory.
"""

from __future__ import annotations

import asyncio
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_MEMORY_KIB = 19 * 1024
_PASSES = 2
_AT_ONCE = 2

_hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)


class Passwords:
    """Hashes and verifies; belongs to one event loop."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(_hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one that `stored` was made of. Takes as long without a stored
        hash, so that the time does not tell which names exist."""
        async with self._turns:
            matches = await asyncio.to_thread(_matches, stored or _nobody(), password)
        return matches and stored is not None


def _matches(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    return _hasher.hash("a password that nobody has")
