"""How often one client may begin logins and have callbacks refused (``[vestibule.limits]``)."""

import ipaddress
import math
import time
from typing import Any

# Clients that are remembered, 100 bytes each; the one that was seen longest ago is forgotten first.
MAX_CLIENTS = 10_000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address(client: Any) -> Address | None:
    """Of ``scope["client"]``, which may be a path."""
    try:
        parsed = ipaddress.ip_address(client[0].split("%")[0])
    except (AttributeError, IndexError, TypeError, ValueError):
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


class Limits:
    def __init__(self, summary: dict[str, Any]) -> None:
        self._per_minute: dict[str, int] = {limit["counted"]: limit["per_minute"] for limit in summary["limits"]}
        self._counted_at: dict[str, str] = {limit["path"]: limit["counted"] for limit in summary["limits"]}
        self._proxies = [ipaddress.ip_network(network) for network in summary["trusted_proxies"]]
        # What a client has left of what is counted, and when that was.
        self._left: dict[tuple[Address, str], tuple[float, float]] = {}

    def wait_at(self, client: Address | None, path: str) -> int | None:
        """Seconds that a request for this path has to wait; ``None``: it may be decided on."""
        counted = self._counted_at.get(path)
        return None if counted is None else self._wait(client, counted)

    def count(self, client: Address | None, counted: str) -> int | None:
        """Counts an answer. Seconds to wait when the client has none left; ``None``: it may have this one."""
        wait = self._wait(client, counted)
        if wait is not None or (key := self._key(client, counted)) is None:
            return wait
        left = self._now_left(key)
        self._left.pop(key, None)
        if len(self._left) >= MAX_CLIENTS:
            del self._left[next(iter(self._left))]
        self._left[key] = (left - 1, time.monotonic())
        return None

    def _wait(self, client: Address | None, counted: str) -> int | None:
        key = self._key(client, counted)
        if key is None or (left := self._now_left(key)) >= 1:
            return None
        return max(1, math.ceil((1 - left) * 60 / self._per_minute[counted]))

    def _now_left(self, key: tuple[Address, str]) -> float:
        most = self._per_minute[key[1]]
        left, at = self._left.get(key, (most, 0.0))
        return min(most, left + (time.monotonic() - at) * most / 60)

    def _key(self, client: Address | None, counted: str) -> tuple[Address, str] | None:
        if client is None or counted not in self._per_minute or any(client in network for network in self._proxies):
            return None
        if isinstance(client, ipaddress.IPv6Address):
            # Who has one address of a network of 64 bits has all of them.
            client = ipaddress.IPv6Address(int(client) >> 64 << 64)
        return client, counted
