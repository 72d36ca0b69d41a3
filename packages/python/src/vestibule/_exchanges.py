"""Requests that the application has: what may outlive its session ends with it.

These are WebSockets, and responses whose end is not in sight: those that have not begun, and those without a length.
"""

import asyncio
from collections.abc import Callable
from typing import Any


# Some event loops take no timer of a month; what is open for so long is connected anew.
LONGEST_SECONDS = 24 * 86_400


class Exchange:
    """One request of a session. ``end`` is called once, in its own event loop."""

    def __init__(self, message: dict[str, Any], session: str | None, end: Callable[[], object]) -> None:
        self.message = message
        self.session = session
        self.has_ended = False
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def expire(self, expires_at: int | None, now: float) -> None:
        """Ends at this time, in seconds since the Unix epoch."""
        self.stop()
        if expires_at is not None:
            self._timer = self._loop.call_later(min(expires_at - now, LONGEST_SECONDS), self._end_now)

    def end(self) -> None:
        """Ends at once; from any thread."""
        self._loop.call_soon_threadsafe(self._end_now)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_now(self) -> None:
        if not self.has_ended:
            self.has_ended = True
            self._end()


class Exchanges:
    """Those of this process."""

    def __init__(self) -> None:
        self._open: set[Exchange] = set()

    def open(self, exchange: Exchange) -> None:
        self._open.add(exchange)

    def close(self, exchange: Exchange) -> None:
        exchange.stop()
        self._open.discard(exchange)

    def all(self) -> list[Exchange]:
        return list(self._open)

    def end_sessions(self, names: set[str]) -> None:
        for exchange in self.all():
            if exchange.session in names:
                exchange.end()
