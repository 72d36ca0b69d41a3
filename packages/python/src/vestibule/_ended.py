"""Sessions that have ended before their time, in the memory of this process."""

import base64
import logging
import time
from typing import Any

log = logging.getLogger("vestibule")

# Names that are remembered: 200 bytes each, about.
MAX_NAMES = 100_000
NAME_BYTES = 16


class EndedSessions:
    """What decisions have said is over, until it may be forgotten."""

    def __init__(self) -> None:
        # By name: when it ended, until when it counts.
        self._once: dict[bytes, tuple[int, int]] = {}
        self._since: dict[bytes, tuple[int, int]] = {}

    def ended(self, names: bytes, began_at: int) -> bool:
        """Whether the first name has ended at any time, or one of the others at or after ``began_at``."""
        if names[:NAME_BYTES] in self._once:
            return True
        others = (names[at : at + NAME_BYTES] for at in range(NAME_BYTES, len(names), NAME_BYTES))
        return any(self._since.get(name, (-1, 0))[0] >= began_at for name in others)

    def remember(self, ended: list[dict[str, Any]]) -> None:
        for item in ended:
            kind = self._once if item["what"] in ("session", "logout_token") else self._since
            name = base64.urlsafe_b64decode(item["name"] + "==")
            at, until = kind.get(name, (0, 0))
            kind[name] = (max(at, item["at"]), max(until, item["until"]))
            if len(kind) > MAX_NAMES:
                self._forget(kind)

    def _forget(self, kind: dict[bytes, tuple[int, int]]) -> None:
        now = int(time.time())
        for name in [name for name, (_, until) in kind.items() if until < now]:
            del kind[name]
        if len(kind) > MAX_NAMES:
            log.error("ended.full: more than %d sessions have ended before their time; the oldest is forgotten", MAX_NAMES)
            del kind[next(iter(kind))]
