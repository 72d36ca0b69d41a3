"""Instances of the module. A trap costs one of them; another takes the next request."""

import itertools
import logging
import threading

from vestibule import _configuration
from vestibule._module import EndedQuestion, Instance, InstanceFailed, Message

log = logging.getLogger("vestibule")


class Pool:
    """``size`` instances at most, each made when it is first needed. The first is made at once, to read the configuration."""

    def __init__(self, configuration: Message, ended: EndedQuestion, size: int) -> None:
        first = Instance(ended)
        self.summary = _configuration.load(first, configuration)
        # Warnings were told; they take long to find.
        self._configuration = configuration | {"was_checked": True}
        self._ended = ended
        self._lock = threading.Lock()
        self._instances: list[Instance | None] = [first, *itertools.repeat(None, size - 1)]
        self._turns = itertools.count()

    def take(self) -> Instance:
        """The instance whose turn it is. Raises ``InstanceFailed``."""
        turn = next(self._turns) % len(self._instances)
        with self._lock:
            instance = self._instances[turn]
            if instance is None or not instance.is_usable:
                if instance is not None:
                    log.warning("instance.replaced: an instance of the login has failed; a new one takes its place")
                instance = Instance(self._ended)
                _configuration.load(instance, self._configuration)
                self._instances[turn] = instance
            return instance

    def begin(self, message: Message) -> tuple[Instance, Message]:
        """Begins to decide. Raises ``InstanceFailed``."""
        instance = self.take()
        try:
            return instance, instance.begin(message)
        except InstanceFailed as error:
            log.error("instance.trapped: a request is answered with 500: %s", error)
            raise
