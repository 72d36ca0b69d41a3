"""An OpenID Provider that does what a test wants of it, on a port of this machine."""

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        # Answers a path with this instead: status, headers, body.
        self.instead: dict[str, tuple[int, dict[str, str], bytes]] = {}
        # Seconds until a path is answered.
        self.slow: dict[str, float] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def authorize(self, location: str, sub: str) -> dict[str, str]:
        """The user logs in; returns the parameters of the authorization response."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = {"sub": sub, "nonce": asked["nonce"], "challenge": asked["code_challenge"], "client": asked["client_id"]}
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    def sign(self, claims: dict[str, Any], kind: str = "JWT") -> str:
        header = {"alg": "EdDSA", "kid": "1", "typ": kind}
        signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        return f"{signed}.{b64(self.key.sign(signed.encode()))}"

    def logout_token(self, sub: str) -> str:
        now = int(time.time())
        events = {"http://schemas.openid.net/event/backchannel-logout": {}}
        claims = {"iss": self.issuer, "aud": "client-1", "sub": sub, "iat": now, "exp": now + 60, "jti": str(now), "events": events}
        return self.sign(claims, "logout+jwt")

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "authorization_response_iss_parameter_supported": True,
            }
        if path == "/jwks":
            key = self.key.public_key().public_bytes_raw()
            return 200, {"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "1", "x": b64(key)}]}
        if path == "/token" and (issued := self.codes.pop(form["code"], None)):
            assert b64(hashlib.sha256(form["code_verifier"].encode()).digest()) == issued["challenge"]
            now = int(time.time())
            claims = {"iss": self.issuer, "aud": issued["client"], "sub": issued["sub"], "nonce": issued["nonce"], "iat": now, "exp": now + 300}
            return 200, {"access_token": "access", "token_type": "Bearer", "id_token": self.sign(claims)}
        return 404, {"error": "invalid_grant"}


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            provider.asked.append(self.path)
            time.sleep(provider.slow.get(self.path, 0))
            if self.path in provider.instead:
                status, headers, data = provider.instead[self.path]
            else:
                status, answer = provider.answer(self.path, {name: values[0] for name, values in parse_qs(body).items()})
                headers, data = {"content-type": "application/json"}, json.dumps(answer).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def query(parameters: dict[str, str]) -> str:
    return urlencode(parameters)
