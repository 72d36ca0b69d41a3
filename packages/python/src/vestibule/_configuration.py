"""The configuration file, and what it refers to outside itself."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vestibule._module import Instance, InstanceFailed, Message

# As the module has it.
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Fault:
    """A fault in the configuration: where it is, what is wrong, and what to write instead."""

    file: str
    # From 1; 0 when something is absent from the file as a whole.
    line: int
    key: str
    problem: str
    remedy: str
    # False: a warning, the configuration works.
    fatal: bool

    def __str__(self) -> str:
        severity = "error" if self.fatal else "warning"
        return f"{self.file}:{self.line}: {severity}: {self.key}: {self.problem}; {self.remedy}"


class ConfigurationError(Exception):
    """The configuration cannot be used. ``faults`` has every fault that was found, warnings included."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def read(path: str | os.PathLike[str], port: int | None) -> Message:
    """The message for ``load``, references resolved. Raises ``ConfigurationError``."""
    file = Path(path)
    message: Message = {"file_name": file.name, "toml": _text(file), "resolved": [], "port": port}
    instance = Instance(lambda _names, _began_at: False)
    answer = instance.load(message)
    if "unresolved" in answer:
        message["resolved"] = [{"reference": reference, "value": _resolve(file, reference)} for reference in answer["unresolved"]]
    return message


def load(instance: Instance, message: Message) -> dict[str, Any]:
    """What the module says of the configuration. Raises ``ConfigurationError``."""
    answer = instance.load(message)
    if "faults" in answer:
        raise ConfigurationError(faults(answer["faults"]))
    if "loaded" not in answer:
        raise InstanceFailed("the module wants references that it did not name before")
    return dict(answer["loaded"])


def faults(told: list[dict[str, Any]]) -> list[Fault]:
    return [Fault(**fault) for fault in told]


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _unreadable(file, "the file is larger than 1 MiB", "give the file that holds [auth]")
        return data.decode()
    except OSError as error:
        raise _unreadable(file, f"cannot be read: {error.strerror}", "write the path of a file that this process may read") from error
    except UnicodeDecodeError as error:
        raise _unreadable(file, "is not UTF-8", "save the file as UTF-8") from error


def _unreadable(file: Path, problem: str, remedy: str) -> ConfigurationError:
    return ConfigurationError([Fault(str(file), 0, "(file)", problem, remedy, True)])


def _resolve(file: Path, reference: dict[str, str]) -> str | None:
    if "environment" in reference:
        return os.environ.get(reference["environment"])
    # What cannot be read is left out: the module then names the line that asks for it.
    try:
        return _text(file.parent / reference["file"]).rstrip("\r\n")
    except ConfigurationError:
        return None
