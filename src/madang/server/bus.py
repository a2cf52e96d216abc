"""What changed, told to whoever watches in this process: controllers, event streams, the portal.

A message is a topic such as `workload:job-1` and nothing more: the reader looks the state up.
That makes messages safe to merge and to miss; every loop also looks by itself now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Subscription:
    """Topics that changed since the last `wait`, each once."""

    def __init__(self, prefixes: tuple[str, ...]) -> None:
        self._prefixes = prefixes
        self._topics: dict[str, None] = {}
        self._changed = asyncio.Event()

    async def wait(self, timeout_s: float | None = None) -> list[str]:
        """The topics that changed, oldest first; empty when `timeout_s` passed without one."""
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with a topic.
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return []
        topics = list(self._topics)
        self._topics.clear()
        self._changed.clear()
        return topics

    def offer(self, topic: str) -> None:
        if topic.startswith(self._prefixes):
            self._topics[topic] = None
            self._changed.set()


class Bus:
    """Hands topics to subscriptions; belongs to one event loop."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def publish(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for subscription in self._subscriptions:
                subscription.offer(topic)

    @contextmanager
    def subscribe(self, *prefixes: str) -> Iterator[Subscription]:
        """Watch all topics that begin with one of `prefixes`, for the length of the block."""
        subscription = Subscription(prefixes)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
