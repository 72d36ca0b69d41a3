"""The module ``vestibule-steps.wasm`` in Wasmtime: one instance, one call at a time. ``docs/hosts/steps.md`` describes the messages."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from importlib import resources
from typing import Any, TypeVar

from wasmtime import Caller, Config, Engine, Func, FuncType, Linker, Memory, Module, Store, Trap, ValType, WasmtimeError

log = logging.getLogger("vestibule")

T = TypeVar("T")
Message = dict[str, Any]
# The names of a session, 16 bytes each, and when its login was asked for, in seconds since the Unix epoch.
EndedQuestion = Callable[[bytes, int], bool]

# Linear memory of one instance, in bytes.
MEMORY_BYTES = 96 << 20
# Instructions of one call, about: a login with the slowest signature takes a hundredth of them. A call that takes more is a trap.
CALL_FUEL = 5_000_000_000
# Longest message, as the module has it.
MAX_MESSAGE_BYTES = 8 << 20
# More than the longest answer (8 MiB), as a length that cannot be right.
LONGEST_ANSWER = 64 << 20

_U64 = (1 << 64) - 1


class InstanceFailed(Exception):
    """The instance trapped, or gave no valid answer. It is not used again."""


class Compiled:
    """The module, compiled once for a process."""

    _lock = threading.Lock()
    _compiled: "Compiled | None" = None

    def __init__(self) -> None:
        config = Config()
        config.consume_fuel = True
        try:
            # Wasmtime's own folder of compiled code, below the user's cache: compiling takes seconds of a processor.
            config.cache = True
        except WasmtimeError as error:
            log.info("module.no_cache: each start compiles the module: %s", error)
        self.engine = Engine(config)
        wasm = resources.files("vestibule").joinpath("vestibule-steps.wasm").read_bytes()
        self.module = Module(self.engine, wasm)

    @classmethod
    def get(cls) -> "Compiled":
        with cls._lock:
            if cls._compiled is None:
                cls._compiled = cls()
            return cls._compiled


class Instance:
    """One instance. Not re-entrant: a lock keeps a second thread waiting."""

    def __init__(self, ended: EndedQuestion) -> None:
        compiled = Compiled.get()
        self.is_usable = True
        self._lock = threading.Lock()
        self._store = Store(compiled.engine)
        self._store.set_limits(memory_size=MEMORY_BYTES)
        linker = Linker(compiled.engine)
        i32, i64 = ValType.i32(), ValType.i64()
        linker.define_func("env", "now", FuncType([], [i64]), lambda: int(time.time()))
        linker.define_func("wasi_snapshot_preview1", "random_get", FuncType([i32, i32], [i32]), _random, access_caller=True)

        def ask(caller: Caller, address: int, length: int, began_at: int) -> int:
            names = bytes(_memory(caller).read(caller, address & 0xFFFF_FFFF, (address & 0xFFFF_FFFF) + length))
            return int(ended(names, began_at & _U64))

        linker.define_func("env", "ended", FuncType([i32, i32, i64], [i32]), ask, access_caller=True)
        try:
            self._store.set_fuel(CALL_FUEL)
            exports = linker.instantiate(self._store, compiled.module).exports(self._store)
            memory = exports["memory"]
            assert isinstance(memory, Memory)
            self._memory = memory
            self._exports = {name: _function(exports[name]) for name in ("alloc", "release", "load", "begin", "resume", "admits", "forget")}
        except (Trap, WasmtimeError) as error:
            raise InstanceFailed(str(error)) from error

    def load(self, message: Message) -> Message:
        return self._call("load", message)

    def begin(self, message: Message) -> Message:
        return self._call("begin", message)

    def resume(self, identifier: int, result: Any) -> Message:
        return self._call("resume", {"id": identifier, "result": result})

    def admits(self, identifier: int, address: str) -> bool:
        """Whether a request may be sent to this IP address. Raises ``InstanceFailed``."""

        def ask() -> bool:
            text = bytearray(address.encode())
            place = self._place(text)
            return bool(self._exports["admits"](self._store, identifier, place, len(text)))

        return self._entered(ask)

    def forget(self, identifier: int) -> None:
        """Gives a request up whose result never comes."""
        try:
            self._entered(lambda: self._exports["forget"](self._store, identifier))
        except InstanceFailed:
            # Nothing waits in it any more.
            return

    def _call(self, export: str, message: Message) -> Message:
        text = bytearray(json.dumps(message, separators=(",", ":")).encode())
        if len(text) > MAX_MESSAGE_BYTES:
            # Before the instance is entered: a client with a long head must not cost it.
            raise InstanceFailed(f"a message of {len(text)} bytes is too long")
        # Parsed without the lock: it is a text of its own.
        parsed = json.loads(self._entered(lambda: self._exchange(export, text)))
        if "malformed" in parsed:
            raise InstanceFailed(f"the module does not read the message: {parsed['malformed']}")
        return dict(parsed)

    def _entered(self, call: Callable[[], T]) -> T:
        with self._lock:
            if not self.is_usable:
                raise InstanceFailed("the instance has trapped in another request")
            # Until the answer is here: an error of Python's in between leaves the instance in a state that is not known.
            self.is_usable = False
            try:
                self._store.set_fuel(CALL_FUEL)
                answer = call()
            except (Trap, WasmtimeError, IndexError) as error:
                raise InstanceFailed(str(error)) from error
            self.is_usable = True
            return answer

    def _exchange(self, export: str, text: bytearray) -> bytearray:
        store, exports = self._store, self._exports
        place = exports[export](store, self._place(text), len(text)) & _U64
        address, length = place >> 32, place & 0xFFFF_FFFF
        if length > LONGEST_ANSWER:
            raise InstanceFailed(f"an answer of {length} bytes")
        answer = self._memory.read(store, address, address + length)
        exports["release"](store, address, length)
        return answer

    def _place(self, text: bytearray) -> int:
        address: int = self._exports["alloc"](self._store, len(text)) & 0xFFFF_FFFF
        if address == 0:
            raise InstanceFailed(f"no room for a message of {len(text)} bytes")
        self._memory.write(self._store, text, address)
        return address


def _random(caller: Caller, address: int, length: int) -> int:
    _memory(caller).write(caller, bytearray(os.urandom(length)), address & 0xFFFF_FFFF)
    return 0


def _memory(caller: Caller) -> Memory:
    memory = caller["memory"]
    assert isinstance(memory, Memory)
    return memory


def _function(export: object) -> Func:
    assert isinstance(export, Func)
    return export
