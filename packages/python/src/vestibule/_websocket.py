"""WebSockets: decided on before they are accepted, and closed when their session ends."""

import asyncio
import base64
import logging
import time

from vestibule._asgi import App, Event, Receive, Scope, Send
from vestibule._deciding import Decided, Decider
from vestibule._exchanges import Exchange
from vestibule._module import Message
from vestibule._scope import edited, forwarded, headers

log = logging.getLogger("vestibule")

# RFC 6455 section 7.4.1: policy violation.
POLICY = 1008
# The application may clean up for so long after its WebSocket has ended.
GRACE_SECONDS = 5


async def serve(app: App, decider: Decider, message: Message, scope: Scope, receive: Receive, send: Send) -> None:
    decided = await decider.decide(message)
    if "forward" in decided.outcome:
        return await forward(app, decider, decided, message, scope, receive, send)
    if "respond" not in decided.outcome:
        decided = decider.failure(message, "filter")
    await refuse(decider, decided, scope, receive, send)


async def refuse(decider: Decider, decided: Decided, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers in place of the upgrade where the server can, else with its own 403."""
    # Also where the client is gone: what has ended has ended.
    try:
        await receive()
        if "websocket.http.response" in (scope.get("extensions") or {}):
            response = decided.outcome["respond"]
            fields = headers(response["headers"])
            await send({"type": "websocket.http.response.start", "status": response["status"], "headers": fields})
            await send({"type": "websocket.http.response.body", "body": base64.b64decode(response["body"])})
        else:
            await send({"type": "websocket.close", "code": POLICY})
    finally:
        decider.when_sent(decided)


async def forward(app: App, decider: Decider, decided: Decided, message: Message, scope: Scope, receive: Receive, send: Send) -> None:
    going_on = decided.outcome["forward"]
    onward, edits = forwarded(scope, going_on["headers"]), going_on["response"]
    over = asyncio.Event()
    exchange = Exchange(message, going_on["session"], over.set)
    is_closed = False

    async def send_edited(event: Event) -> None:
        nonlocal is_closed
        if exchange.has_ended:
            raise OSError("the session has ended")
        if event["type"] in ("websocket.accept", "websocket.http.response.start"):
            event = {**event, "headers": edited(event.get("headers", []), edits)}
        is_closed = is_closed or event["type"] == "websocket.close"
        await send(event)

    if exchange.session is not None:
        decider.exchanges.open(exchange)
        exchange.expire(going_on["expires_at"], time.time())
    decider.when_sent(decided)
    running = asyncio.ensure_future(app(onward, receive, send_edited))
    waiting = asyncio.ensure_future(over.wait())
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done() and not is_closed:
            log.info("upgrade.session_ended: closed an upgraded connection: its session has ended")
            # Before `accept`, the server makes 403 of it.
            await send({"type": "websocket.close", "code": POLICY, "reason": "The session has ended."})
            await asyncio.wait({running}, timeout=GRACE_SECONDS)
    finally:
        waiting.cancel()
        decider.exchanges.close(exchange)
        if not running.done():
            running.cancel()
            await asyncio.wait({running})
    if not running.cancelled() and (error := running.exception()) is not None and not exchange.has_ended:
        raise error
