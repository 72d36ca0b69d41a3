"""HTTP requests: decided on, then answered, or given to the application with both bodies as streams."""

import asyncio
import base64
import time

from vestibule._asgi import App, Event, Receive, Scope, Send
from vestibule._deciding import Decided, Decider
from vestibule._exchanges import Exchange
from vestibule._module import Message
from vestibule._scope import edited, forwarded, headers

# For a body that the decision needs: a form that a provider has the browser send.
BODY_SECONDS = 30


class Unread(Exception):
    """The body that the decision needs is not there: ``failure`` is what the module calls it; ``None``: the client is gone."""

    def __init__(self, failure: str | None) -> None:
        self.failure = failure


async def serve(app: App, decider: Decider, message: Message, scope: Scope, receive: Receive, send: Send) -> None:
    decided = await decider.decide(message)
    if "need_body" in decided.outcome:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await read(receive, decided.outcome["need_body"])
        except TimeoutError:
            return await respond(decider, decider.failure(message, "body_too_slow"), send)
        except Unread as unread:
            if unread.failure is not None:
                await respond(decider, decider.failure(message, unread.failure), send)
            return
        decided = await decider.decide(message | {"body": base64.b64encode(body).decode()})
        receive = again(body, receive)
        if "need_body" in decided.outcome:
            decided = decider.failure(message, "filter")
    if "respond" in decided.outcome:
        await respond(decider, decided, send)
    elif "forward" in decided.outcome:
        await forward(app, decider, decided, message, scope, receive, send)
    else:
        await respond(decider, decider.failure(message, "filter"), send)


async def read(receive: Receive, limit: int) -> bytes:
    """A body of at most so many bytes. Raises ``Unread``."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise Unread(None)
        body += event.get("body", b"")
        if len(body) > limit:
            raise Unread("body_too_large")
        if not event.get("more_body", False):
            return bytes(body)


def again(body: bytes, receive: Receive) -> Receive:
    """Gives the application a body that was read."""
    unread = [body]

    async def receive_again() -> Event:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        return await receive()

    return receive_again


async def respond(decider: Decider, decided: Decided, send: Send) -> None:
    response = decided.outcome["respond"]
    # Also where the client is gone: what has ended has ended.
    try:
        await send({"type": "http.response.start", "status": response["status"], "headers": headers(response["headers"])})
        await send({"type": "http.response.body", "body": base64.b64decode(response["body"])})
    finally:
        decider.when_sent(decided)


async def forward(app: App, decider: Decider, decided: Decided, message: Message, scope: Scope, receive: Receive, send: Send) -> None:
    going_on = decided.outcome["forward"]
    onward, edits = forwarded(scope, going_on["headers"]), going_on["response"]
    task = asyncio.current_task()
    assert task is not None
    exchange = Exchange(message, going_on["session"], task.cancel)
    has_begun = False

    async def send_edited(event: Event) -> None:
        nonlocal has_begun
        if exchange.has_ended:
            # The application has caught its cancellation.
            raise OSError("the session has ended")
        if event["type"] == "http.response.start":
            fields = edited(event.get("headers", []), edits)
            event = {**event, "headers": fields}
            if any(name.lower() == b"content-length" for name, _ in fields) or event["status"] in (204, 304):
                # Its end is in sight.
                decider.exchanges.close(exchange)
            has_begun = True
        await send(event)

    if exchange.session is not None:
        decider.exchanges.open(exchange)
        exchange.expire(going_on["expires_at"], time.time())
    decider.when_sent(decided)
    try:
        await app(onward, receive, send_edited)
    except (asyncio.CancelledError, OSError):
        if not exchange.has_ended:
            raise
        task.uncancel()
        if not has_begun:
            # Its session has ended: the request is decided on as a new one.
            decided = await decider.decide(message)
            await respond(decider, decided if "respond" in decided.outcome else decider.failure(message, "filter"), send)
        # One that has begun stays without an end: the server closes the connection, so that it cannot be taken for whole.
    finally:
        decider.exchanges.close(exchange)
