"""The middleware."""

import logging
import os
import ssl

from vestibule import _configuration, _http, _websocket
from vestibule._asgi import App, Receive, Scope, Send
from vestibule._configuration import Fault
from vestibule._deciding import Decider
from vestibule._ended import EndedSessions
from vestibule._outbound import Outbound
from vestibule._pool import Pool
from vestibule._scope import message

log = logging.getLogger("vestibule")


class Vestibule:
    """An ASGI application that logs users in and gives ``app`` the requests that may pass.

    Put it outside of every other middleware: what it forwards has been decided on as it is.

    ``config``: the path of the configuration, ``secrets.toml`` by default. ``port`` replaces ``{port}`` in ``redirect_uri``.
    ``instances``: of the WebAssembly module, at most; one is enough for one event loop, a second goes on when the first fails.
    ``single_process``: this process is the only one that serves the application. Logouts that come from the provider
    (Back-Channel Logout) are accepted only then, because other processes would not learn of them.
    ``ssl_context``: for connections to providers; by default the system's authorities.

    Raises ``ConfigurationError`` when the configuration cannot be used.
    """

    def __init__(
        self,
        app: App,
        config: str | os.PathLike[str] = "secrets.toml",
        *,
        port: int | None = None,
        instances: int = 2,
        single_process: bool = False,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if instances < 1:
            raise ValueError("instances: at least 1")
        self.app = app
        configuration = _configuration.read(config, port) | {"remembers_ended": single_process}
        ended = EndedSessions()
        pool = Pool(configuration, ended.ended, instances)
        self.warnings: list[Fault] = _configuration.faults(pool.summary["warnings"])
        for fault in self.warnings:
            log.warning("configuration.fault: %s", fault)
        self._streamlit: bool = pool.summary["streamlit"]
        self._decider = Decider(pool, Outbound(ssl_context), ended)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            asked = message(scope, self._streamlit)
            await _http.serve(self.app, self._decider, asked, scope, receive, send)
        elif scope["type"] == "websocket":
            asked = message(scope, self._streamlit)
            await _websocket.serve(self.app, self._decider, asked, scope, receive, send)
        elif scope["type"] == "lifespan":
            try:
                await self.app(scope, receive, send)
            finally:
                await self._decider.close()
        else:
            # Nothing is known of what it would let in.
            raise ValueError(f"no login for ASGI scopes of the type {scope['type']!r}")
