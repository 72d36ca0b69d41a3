"""The application behind the login: it tells what it receives."""

import asyncio
import json
from typing import Any


class Application:
    def __init__(self) -> None:
        self.requests: list[str] = []
        self.cancelled: list[str] = []
        self.lifespan: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                event = await receive()
                self.lifespan.append(event["type"])
                await send({"type": f"{event['type']}.complete"})
                if event["type"] == "lifespan.shutdown":
                    return
        self.requests.append(scope["path"])
        try:
            await (self.websocket if scope["type"] == "websocket" else self.http)(scope, receive, send)
        except asyncio.CancelledError:
            self.cancelled.append(scope["path"])
            raise

    async def http(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path == "/echo":
            # Without a length, piece by piece.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            while True:
                event = await receive()
                await send({"type": "http.response.body", "body": event.get("body", b""), "more_body": event.get("more_body", False)})
                if not event.get("more_body", False):
                    return
        if path == "/count":
            count = 0
            while True:
                event = await receive()
                count += len(event.get("body", b""))
                if not event.get("more_body", False):
                    return await self.tell(send, count)
        if path == "/events":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
            while True:
                await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
                await asyncio.sleep(0.05)
        await self.tell(send, seen(scope))

    async def tell(self, send: Any, what: Any) -> None:
        body = json.dumps(what).encode()
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length), (b"cache-control", b"public, max-age=60")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def websocket(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        await send({"type": "websocket.send", "text": json.dumps(seen(scope))})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})


def seen(scope: Any) -> Any:
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    return {"path": scope["path"], "headers": headers, "subprotocols": scope.get("subprotocols")}
