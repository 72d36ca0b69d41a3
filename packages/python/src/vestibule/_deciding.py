"""From a request to a decision: the loop around the module, and what has to be done with every decision."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from vestibule import _events
from vestibule._ended import EndedSessions
from vestibule._exchanges import Exchange, Exchanges
from vestibule._limits import Limits, address
from vestibule._module import Instance, InstanceFailed, Message
from vestibule._outbound import Outbound
from vestibule._pool import Pool

log = logging.getLogger("vestibule")

# A decision that has asked so often does not end: a login takes five requests at most.
MOST_REQUESTS = 40

# The answer when no instance can make one.
FAILED: Message = {
    "respond": {
        "status": 500,
        "headers": [["content-type", "text/plain; charset=utf-8"], ["cache-control", "no-store"]],
        "body": "VGhlIGxvZ2luIGluIGZyb250IG9mIHRoaXMgYXBwbGljYXRpb24gaGFzIGZhaWxlZC4gVHJ5IGFnYWluLgo=",
        "counts_as": None,
    }
}


@dataclass
class Decided:
    outcome: Message
    ended: list[dict[str, Any]]
    instance: Instance | None
    afterwards: dict[str, Any] | None


class Decider:
    def __init__(self, pool: Pool, outbound: Outbound, ended: EndedSessions) -> None:
        self.exchanges = Exchanges()
        self._pool = pool
        self._outbound = outbound
        self._ended = ended
        self._limits = Limits(pool.summary)
        self._has_audit = pool.summary["audit"] is not None
        self._audits_requests = self._has_audit and pool.summary["audit"]["requests"]
        self._later: set[asyncio.Task[None]] = set()

    async def decide(self, message: Message) -> Decided:
        """Decides on a request. Never fails: what cannot be decided on is answered."""
        client = address([message["client"]])
        wait = self._limits.wait_at(client, message["target"].split("?", 1)[0])
        if wait is not None:
            return self.failure(message, {"too_many_logins": {"retry_after": wait}})
        try:
            instance, answer = self._pool.begin(message)
            for _ in range(MOST_REQUESTS):
                if "fetch" not in answer:
                    break
                answer = await self._fetched(instance, answer["fetch"])
            decision = answer["decided"]
        except InstanceFailed:
            return self.failure(message, "filter")
        except KeyError:
            log.error("instance.answer: the module gave an answer that is none; the request is answered with 500")
            return self.failure(message, "filter")
        return self._carried_out(message, decision, instance)

    def failure(self, message: Message, failure: Any) -> Decided:
        """A page of the module's in place of a decision."""
        try:
            instance, answer = self._pool.begin(message | {"body": None, "failure": failure})
            return self._carried_out(message, answer["decided"], instance, is_failure=True)
        except (InstanceFailed, KeyError):
            return Decided(FAILED, [], None, None)

    async def _fetched(self, instance: Instance, fetch: dict[str, Any]) -> Message:
        try:
            result = await self._outbound.send(fetch, lambda address: instance.admits(fetch["id"], address))
        except BaseException:
            instance.forget(fetch["id"])
            raise
        try:
            return instance.resume(fetch["id"], result)
        except InstanceFailed as error:
            log.error("instance.trapped: a request is answered with 500: %s", error)
            raise

    def _carried_out(self, message: Message, decision: Message, instance: Instance, is_failure: bool = False) -> Decided:
        _events.write(decision["events"])
        audited = decision["audited"]
        if audited is not None and (audited["event"] != "forwarded" or self._audits_requests):
            _events.audit(audited, message["client"])
        self._ended.remember(decision["ended"])
        decided = Decided(decision["outcome"], decision["ended"], instance, decision["afterwards"])
        counted = decided.outcome["respond"]["counts_as"] if "respond" in decided.outcome else None
        if counted is not None and not is_failure:
            wait = self._limits.count(address([message["client"]]), counted)
            if wait is not None:
                limited = self.failure(message, {"too_many_logins": {"retry_after": wait}})
                return Decided(limited.outcome, decided.ended, instance, decided.afterwards)
        return decided

    def when_sent(self, decided: Decided) -> None:
        """To be called when the response is on its way: what ends with it, and what nobody waits for."""
        sessions = {item["name"] for item in decided.ended if item["what"] == "session"}
        if sessions:
            self.exchanges.end_sessions(sessions)
        if any(item["what"] in ("account", "provider_session") for item in decided.ended):
            for exchange in self.exchanges.all():
                self._judge(exchange)
        if decided.afterwards is not None and decided.instance is not None:
            task = asyncio.get_running_loop().create_task(self._finish(decided.instance, decided.afterwards))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    def _judge(self, exchange: Exchange) -> None:
        """Decides again on an open request; nothing else comes of it."""
        try:
            instance, answer = self._pool.begin(exchange.message | {"body": None, "was_forwarded": True})
            if "fetch" in answer:
                instance.forget(answer["fetch"]["id"])
                return exchange.end()
            forward = answer["decided"]["outcome"].get("forward")
        except (InstanceFailed, KeyError):
            return exchange.end()
        if forward is None or forward["session"] != exchange.session:
            exchange.end()
        else:
            exchange.expire(forward["expires_at"], time.time())

    async def _finish(self, instance: Instance, fetch: dict[str, Any]) -> None:
        try:
            for _ in range(MOST_REQUESTS):
                answer = await self._fetched(instance, fetch)
                if "fetch" not in answer:
                    return _events.write(answer["finished"]["events"])
                fetch = answer["fetch"]
        except (InstanceFailed, KeyError):
            return

    async def close(self) -> None:
        if self._later:
            # As long as their own time.
            await asyncio.wait(self._later, timeout=15)
        await self._outbound.close()
