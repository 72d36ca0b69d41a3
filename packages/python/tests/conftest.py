"""A provider, an application behind the login, and a real server in a thread of its own."""

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import uvicorn
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig
from vestibule import Vestibule

from application import Application
from provider import Provider

logging.getLogger("vestibule").setLevel(logging.DEBUG)

CONFIGURATION = """
[auth]
redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
client_id = "client-1"
client_secret = "a-secret-of-the-client"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
"""


class Site:
    """The application behind the login, in a server."""

    def __init__(self, server: str, provider: Provider, folder: Path, more: str = "", **options: Any) -> None:
        self.provider = provider
        self.application = Application()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.file = folder / "secrets.toml"
        self.file.write_text(CONFIGURATION.format(issuer=provider.issuer) + more)
        self.vestibule = Vestibule(self.application, self.file, port=self.port, **options)
        self.origin = f"http://127.0.0.1:{self.port}"
        self._stop: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._uvicorn if server == "uvicorn" else self._hypercorn, daemon=True)
        self._thread.start()
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError("the server does not start")

    def _uvicorn(self) -> None:
        config = uvicorn.Config(self.vestibule, port=self.port, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        self._stop = lambda: setattr(server, "should_exit", True)
        server.run()

    def _hypercorn(self) -> None:
        config = HypercornConfig()
        config.bind = [f"127.0.0.1:{self.port}"]
        config.graceful_timeout = 1
        config.loglevel = "WARNING"

        async def run() -> None:
            stop, loop = asyncio.Event(), asyncio.get_running_loop()
            self._stop = lambda: loop.call_soon_threadsafe(stop.set)
            await hypercorn_serve(self.vestibule, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]

        asyncio.run(run())

    def stop(self) -> None:
        if self._thread.is_alive():
            self._stop()
        self._thread.join(10)

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.origin, headers={"accept": "text/html"}, timeout=20, trust_env=False)

    def log_in(self, sub: str = "alice", page: str = "/reports") -> httpx.Client:
        browser = self.browser()
        started = browser.get(page)
        assert started.status_code == 302, started.text
        returned = browser.get("/oauth2callback?" + urlencode(self.provider.authorize(started.headers["location"], sub)))
        assert (returned.status_code, returned.headers["location"]) == (302, page), returned.text
        return browser

    def cookies(self, browser: httpx.Client) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture(params=["uvicorn", "hypercorn"])
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sites(server: str, provider: Provider, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites, with more lines of configuration and options."""
    made: list[Site] = []

    def make(more: str = "", **options: Any) -> Site:
        made.append(Site(server, provider, tmp_path, more, **options))
        return made[-1]

    yield make
    for site in made:
        site.stop()


@pytest.fixture
def site(sites: Callable[..., Site]) -> Site:
    return sites()


def values(seen: Any, name: str) -> list[str]:
    told = seen if isinstance(seen, dict) else json.loads(seen)
    return [value for given, value in told["headers"] if given == name]
