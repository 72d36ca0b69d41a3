"""Requests to providers: only those that the module names, within their time and their size, and nothing of them is kept.

1. httpcore, unlike clients built on it, follows no redirect, keeps no cookie, decompresses nothing, and reads no variables for proxies.
2. Every address that a name resolves to is judged by the module before it is connected to: a provider must not have this process
   ask machines that only this process reaches.
3. No connection is used twice, so that each has been judged for its own request.
"""

import asyncio
import base64
import contextvars
import logging
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

log = logging.getLogger("vestibule")

# Whether the request of this task may be sent to an IP address.
Admits = Callable[[str], bool]
admits: contextvars.ContextVar[Admits] = contextvars.ContextVar("admits")

# Connections to providers at the same time. More wait, within their own time.
MAX_CONNECTIONS = 64
# For one of several addresses.
CONNECT_SECONDS = 4.0


class NotAdmitted(Exception):
    """No address of the host may be asked."""


def tls() -> ssl.SSLContext:
    """The system's authorities; where there are none, those that httpcore brings along."""
    context = ssl.create_default_context()
    if context.cert_store_stats()["x509_ca"] == 0:
        import certifi

        context.load_verify_locations(certifi.where())
    return context


class Outbound:
    """Connections to providers."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context or tls()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def send(self, fetch: dict[str, Any], may_ask: Admits) -> Any:
        """The ``result`` for ``resume``."""
        admits.set(may_ask)
        try:
            async with asyncio.timeout(fetch["timeout_ms"] / 1000):
                return await self._exchange(fetch)
        except NotAdmitted as error:
            log.warning("outbound.address_refused: %s", error)
            return "not_allowed"
        except (TimeoutError, httpcore.TimeoutException):
            return "timed_out"
        except (httpcore.NetworkError, OSError) as error:
            return {"unreachable": _words(error)}
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            return {"protocol": _words(error)}

    async def _exchange(self, fetch: dict[str, Any]) -> Any:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fetch["headers"]]
        url, content = httpcore.URL(fetch["url"]), base64.b64decode(fetch["body"])
        headers.append((b"host", _host(url)))
        if content or fetch["method"] == "POST":
            headers.append((b"content-length", str(len(content)).encode()))
        async with self._of_this_loop().stream(fetch["method"], url, headers=headers, content=content) as response:
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > fetch["max_response_bytes"]:
                    return "too_large"
            address = response.extensions["network_stream"].get_extra_info("server_addr")
        fields = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in response.headers]
        answer = {"status": response.status, "headers": fields, "body": base64.b64encode(body).decode()}
        return {"response": answer | {"address": address[0].split("%")[0] if address else None}}

    def _of_this_loop(self) -> httpcore.AsyncConnectionPool:
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._context,
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=0,
                network_backend=JudgedNetwork(),
            )
            self._loop = loop
        return self._pool

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None and self._loop is asyncio.get_running_loop():
            await pool.aclose()


class JudgedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that the module admits."""

    def __init__(self) -> None:
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        may_ask = admits.get()
        admitted = [address for address in addresses if may_ask(address.split("%")[0])]
        if not admitted:
            raise NotAdmitted(
                f"the host {host} is {addresses[0]}, on a network where the provider's metadata URL is not, so it is not asked; if this "
                f'provider may have endpoints there, write internal_hosts = ["{host}"] under [vestibule]'
            )
        for address in admitted[:-1]:
            try:
                return await self._network.connect_tcp(address, port, CONNECT_SECONDS, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(admitted[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise NotAdmitted("a provider has a host name")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


def _host(url: httpcore.URL) -> bytes:
    """RFC 9110 section 7.2: the port only where it is not the scheme's."""
    host = b"[%s]" % url.host if b":" in url.host else url.host
    usual = {b"https": 443, b"http": 80}[url.scheme]
    return host if url.port in (None, usual) else b"%s:%d" % (host, url.port or usual)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
