"""``python -m vestibule check``: reads a configuration and says what is wrong with it."""

import argparse
import sys

from vestibule import ConfigurationError, _configuration
from vestibule._module import Instance


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 when the configuration can be used, 1 when it cannot."""
    parser = argparse.ArgumentParser(prog="python -m vestibule", description="OpenID Connect login as ASGI middleware")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="read a configuration, and print its faults and warnings")
    check.add_argument("config", nargs="?", default="secrets.toml", help="the configuration (default: secrets.toml)")
    check.add_argument("--port", type=int, help="replaces {port} in redirect_uri")
    given = parser.parse_args(arguments)
    try:
        message = _configuration.read(given.config, given.port)
        summary = _configuration.load(Instance(lambda _names, _began_at: False), message)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    for fault in _configuration.faults(summary["warnings"]):
        print(fault, file=sys.stderr)
    print(f"{given.config}: usable; the application is at {summary['public_origin']}{summary['base_path']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
