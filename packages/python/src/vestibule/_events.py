"""Events of the login, to ``logging``: the logger ``vestibule``, and ``vestibule.audit`` for the audit."""

import json
import logging
import time
from typing import Any

log = logging.getLogger("vestibule")
audit_log = logging.getLogger("vestibule.audit")

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


def write(events: list[dict[str, Any]]) -> None:
    """One line for each; ``record.vestibule`` has the event as it is."""
    for event in events:
        level = LEVELS[event["level"]]
        if not log.isEnabledFor(level):
            continue
        details = "".join(
            # What others write is quoted, so that it cannot look like something else of this line.
            f" {name}={json.dumps(event[name]) if name in ('subject', 'request_id') else event[name]}"
            for name in ("reference", "provider", "subject", "rule", "request_id")
            if event[name] is not None
        )
        log.log(level, "%s: %s%s", event["code"], event["message"], details, extra={"vestibule": event})


def audit(audited: dict[str, Any], client: str | None) -> None:
    """One line of JSON."""
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "client": client}
    line |= {name: value for name, value in audited.items() if value is not None}
    audit_log.info("%s", json.dumps(line), extra={"vestibule": line})
