"""A small event loop: descriptors, timers, and nothing else."""

from __future__ import annotations

import heapq
import select

from .records import boottime_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
URGENT = select.EPOLLPRI


class Timer:
    """A call that is due later; `cancel` it as often as you like."""

    def __init__(self, when_s: float, action: Callable[[], None]) -> None:
        self.when_s = when_s
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None

    def __lt__(self, other: Timer) -> bool:
        return self.when_s < other.when_s


class Loop:
    """Calls handlers of descriptors and timers, one at a time, until `stop`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._masks: dict[int, int] = {}
        self._timers: list[Timer] = []
        self._running = True

    def watch(self, descriptor: int, mask: int, handler: Callable[[int], None]) -> None:
        """Call `handler(events)` while `mask` holds; a mask of 0 stops watching it."""
        known = self._masks.get(descriptor, 0)
        if mask == 0:
            self.unwatch(descriptor)
            return
        self._handlers[descriptor] = handler
        self._masks[descriptor] = mask
        if not known:
            self._epoll.register(descriptor, mask)
        elif known != mask:
            self._epoll.modify(descriptor, mask)

    def unwatch(self, descriptor: int) -> None:
        if self._masks.pop(descriptor, 0):
            self._epoll.unregister(descriptor)
            del self._handlers[descriptor]

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        return self.call_at(boottime_s() + delay_s, action)

    def call_at(self, when_s: float, action: Callable[[], None]) -> Timer:
        """Call `action` at `when_s` of `boottime_s`."""
        timer = Timer(when_s, action)
        heapq.heappush(self._timers, timer)
        return timer

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        while self._running:
            self.run_once()

    def run_once(self) -> None:
        """Wait for the next event or timer and handle what is due."""
        for descriptor, events in self._epoll.poll(self._timeout_s()):
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler(events)
        now_s = boottime_s()
        while self._timers and self._timers[0].when_s <= now_s:
            action = heapq.heappop(self._timers).action
            if action is not None:
                action()

    def _timeout_s(self) -> float | None:
        while self._timers and self._timers[0].action is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0].when_s - boottime_s()) if self._timers else None
