"""Requests to providers: only those that the module names, within their time and their size, and nothing of them is kept.

httpx's transport is used without its client, which would follow redirects, keep cookies, decompress answers and read variables
for proxies.
"""

import asyncio
import base64
import ssl
from typing import Any

import httpx

# Connections to providers at the same time, and those that are kept open. More wait, within their own time.
LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=8, keepalive_expiry=30)


def tls() -> ssl.SSLContext:
    """The system's authorities; where there are none, those that httpx brings along."""
    context = ssl.create_default_context()
    if context.cert_store_stats()["x509_ca"] == 0:
        import certifi

        context.load_verify_locations(certifi.where())
    return context


class Outbound:
    """Connections to providers, of one event loop at a time."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context or tls()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def send(self, fetch: dict[str, Any]) -> Any:
        """The ``result`` for ``resume``."""
        try:
            async with asyncio.timeout(fetch["timeout_ms"] / 1000):
                return await self._exchange(fetch)
        except (TimeoutError, httpx.TimeoutException):
            return "timed_out"
        except (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.CloseError, OSError) as error:
            return {"unreachable": _words(error)}
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return {"protocol": _words(error)}

    async def _exchange(self, fetch: dict[str, Any]) -> Any:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fetch["headers"]]
        request = httpx.Request(fetch["method"], fetch["url"], headers=headers, content=base64.b64decode(fetch["body"]))
        response = await self._of_this_loop().handle_async_request(request)
        try:
            body = bytearray()
            assert isinstance(response.stream, httpx.AsyncByteStream)
            async for chunk in response.stream:
                body += chunk
                if len(body) > fetch["max_response_bytes"]:
                    return "too_large"
        finally:
            await response.aclose()
        fields = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in response.headers.raw]
        return {"response": {"status": response.status_code, "headers": fields, "body": base64.b64encode(body).decode()}}

    def _of_this_loop(self) -> httpx.AsyncHTTPTransport:
        loop = asyncio.get_running_loop()
        if self._transport is None or self._loop is not loop:
            self._transport = httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, limits=LIMITS)
            self._loop = loop
        return self._transport

    async def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None and self._loop is asyncio.get_running_loop():
            await transport.aclose()


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
