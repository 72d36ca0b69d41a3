"""OpenID Connect login as ASGI middleware: ``Vestibule(app, config="secrets.toml")``."""

from vestibule._configuration import ConfigurationError, Fault
from vestibule._middleware import Vestibule

__all__ = ["ConfigurationError", "Fault", "Vestibule"]
