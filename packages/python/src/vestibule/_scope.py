"""Requests between ASGI and the module.

1. The decision is made on what the application reads: ``scope["path"]``. ``raw_path``, the same before it was decoded, is used where
   the two agree, so that the module sees encodings; otherwise the path is encoded anew.
2. Header fields are bytes: the module's messages have each byte as one character.
3. The client and the scheme are the server's word. What the request says of them is removed by the module.
"""

from typing import Any
from urllib.parse import quote, unquote

from vestibule._asgi import Headers, Scope
from vestibule._limits import address

# What a path may have beside letters and digits without being encoded (RFC 3986 section 3.3).
PATH_CHARACTERS = "/-._~!$&'()*+,;=:@"


def message(scope: Scope, streamlit: bool) -> dict[str, Any]:
    """The message for ``begin``."""
    client = address(scope.get("client"))
    query = scope.get("query_string", b"")
    return {
        "method": scope.get("method", "GET"),
        "target": path(scope) + (f"?{query.decode('latin-1')}" if query else ""),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "websocket": scope["type"] == "websocket",
        "tls": scope.get("scheme") in ("https", "wss"),
        "client": None if client is None else str(client),
        # Streamlit as an ASGI application has Starlette's cookies, whichever server runs it.
        "application_server": "uvicorn" if streamlit else None,
    }


def path(scope: Scope) -> str:
    """The path before it was decoded."""
    decoded: str = scope["path"]
    raw = scope.get("raw_path")
    if raw is not None:
        text: str = bytes(raw).split(b"?", 1)[0].decode("latin-1")
        if unquote(text) == decoded:
            return text
    return quote(decoded, safe=PATH_CHARACTERS)


def headers(fields: list[list[str]]) -> Headers:
    """Of a message, as ASGI has them: names in lower case."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]


def forwarded(scope: Scope, fields: list[list[str]]) -> Scope:
    """The scope that the application gets: its header fields are those of the decision, all of them."""
    onward = dict(scope)
    onward["headers"] = headers(fields)
    if "subprotocols" in scope:
        lines = [value.decode("latin-1") for name, value in onward["headers"] if name == b"sec-websocket-protocol"]
        onward["subprotocols"] = [item.strip() for line in lines for item in line.split(",") if item.strip()]
    return onward


def edited(response: Headers, edits: dict[str, Any]) -> Headers:
    """The application's header fields with the decision's."""
    remove = {name.encode("latin-1") for name in edits["remove"]}
    kept = [(bytes(name), bytes(value)) for name, value in response if bytes(name).lower() not in remove]
    return kept + headers(edits["add"])
