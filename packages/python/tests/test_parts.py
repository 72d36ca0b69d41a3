"""The parts that need no server."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from vestibule import ConfigurationError, Vestibule, _scope
from vestibule._ended import EndedSessions
from vestibule._limits import Limits, address
from vestibule._outbound import Outbound

from conftest import CONFIGURATION
from provider import Provider


async def nothing(*_: Any) -> None:
    pass


def scope(path: str, raw_path: bytes | None, query: bytes = b"") -> Any:
    made = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": [], "scheme": "https", "client": ["::1%lo", 1]}
    return made if raw_path is None else made | {"raw_path": raw_path}


@pytest.mark.parametrize(
    ("path", "raw_path", "target"),
    [
        ("/a b", b"/a%20b", "/a%20b"),
        ("/a/b", b"/a%2Fb", "/a%2Fb"),
        ("/a b/\u00e9", None, "/a%20b/%C3%A9"),
        ("/100%", None, "/100%25"),
        # Another middleware has changed what the application reads: that is decided on.
        ("/admin", b"/public", "/admin"),
        # Some servers leave the query in.
        ("/a", b"/a?b=c", "/a"),
        ("/a%2Fb", b"/a%252Fb", "/a%252Fb"),
    ],
)
def test_the_path_that_the_application_reads_is_decided_on(path: str, raw_path: bytes | None, target: str) -> None:
    message = _scope.message(scope(path, raw_path, b"x=%20"), False)
    assert message["target"] == f"{target}?x=%20"
    assert (message["tls"], message["client"]) == (True, "::1")


def test_a_configuration_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere.toml:0: error: \(file\): cannot be read: No such file"):
        Vestibule(nothing, tmp_path / "nowhere.toml")
    file = tmp_path / "secrets.toml"
    text = CONFIGURATION.format(issuer="https://op.example").replace("{port}", "8501")
    file.write_text(text.replace("client_id =", "client_idd ="))
    with pytest.raises(ConfigurationError) as error:
        Vestibule(nothing, file)
    assert "secrets.toml:" in str(error.value) and "auth.client_id" in str(error.value)
    assert [fault.line for fault in error.value.faults if "client_idd" in fault.key] == [5]
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        Vestibule(nothing, file)
    file.write_text("#" * (1 << 20) + "\n")
    with pytest.raises(ConfigurationError, match="larger than 1 MiB"):
        Vestibule(nothing, file)


def test_references_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secrets.toml"
    text = CONFIGURATION.format(issuer="https://op.example").replace("{port}", "8501")
    file.write_text(text.replace('client_secret = "a-secret-of-the-client"', 'client_secret_env = "OF_CLIENT"\nclient_id_file = "id"').replace('client_id = "client-1"\n', ""))
    with pytest.raises(ConfigurationError, match="`OF_CLIENT` is not set"):
        Vestibule(nothing, file)
    monkeypatch.setenv("OF_CLIENT", "s")
    with pytest.raises(ConfigurationError, match="the file `id` cannot be read"):
        Vestibule(nothing, file)
    (tmp_path / "id").write_text("client-1\n")
    Vestibule(nothing, file)


@pytest.mark.parametrize(("change", "code", "says"), [(None, 0, "usable"), (("client_id", "client_idd"), 1, "error: auth.client_id")])
def test_check_has_an_exit_code(tmp_path: Path, change: tuple[str, str] | None, code: int, says: str) -> None:
    file = tmp_path / "secrets.toml"
    text = CONFIGURATION.format(issuer="https://op.example")
    file.write_text(text.replace(*change) if change else text)
    done = subprocess.run([sys.executable, "-m", "vestibule", "check", file, "--port", "8501"], capture_output=True, text=True)
    assert done.returncode == code and says in done.stdout + done.stderr, done


def test_what_has_ended_is_remembered() -> None:
    ended = EndedSessions()
    one, two = b"1" * 16, b"2" * 16
    assert not ended.ended(one + two, 100)
    ended.remember([{"name": "MTExMTExMTExMTExMTExMQ", "what": "session", "at": 50, "until": 60}])
    assert ended.ended(one + two, 100) and not ended.ended(two + one, 100), "a session's name counts as the first only"
    ended = EndedSessions()
    ended.remember([{"name": "MjIyMjIyMjIyMjIyMjIyMg", "what": "account", "at": 100, "until": 200}])
    assert ended.ended(one + two, 100) and not ended.ended(one + two, 101) and not ended.ended(two, 100)


def test_limits_are_for_one_client_and_its_network() -> None:
    summary = {"limits": [{"counted": "login_start", "per_minute": 2, "path": "/login"}], "trusted_proxies": ["10.0.0.0/8"]}
    limits = Limits(summary)
    client, neighbour, other, proxy = (address([text]) for text in ("2001:db8::1", "2001:db8::2", "2001:db8:1::1", "10.1.1.1"))
    assert limits.count(client, "login_start") is None and limits.count(neighbour, "login_start") is None
    assert limits.count(client, "login_start") == 30 and limits.wait_at(client, "/login") == 30
    assert limits.wait_at(client, "/other") is None and limits.wait_at(other, "/login") is None
    for _ in range(5):
        assert limits.count(proxy, "login_start") is None and limits.count(None, "login_start") is None


def fetch(provider: Provider, path: str, **more: Any) -> Any:
    made = {"method": "GET", "url": provider.issuer + path, "headers": [["accept-encoding", "identity"]], "body": ""}
    return made | {"max_response_bytes": 1000, "timeout_ms": 5000} | more


def test_requests_to_providers_are_bounded_and_keep_nothing(provider: Provider) -> None:
    provider.instead["/large"] = (200, {}, b"x" * 1001)
    provider.instead["/fits"] = (200, {"set-cookie": "a=b", "x-bytes": "z\u00f6"}, b"x" * 1000)
    provider.instead["/moved"] = (302, {"location": "/fits"}, b"")
    provider.instead["/packed"] = (200, {"content-encoding": "gzip"}, b"not gzip")
    provider.slow["/slow"] = 3

    async def run() -> None:
        outbound = Outbound(None)

        def send(path: str, **more: Any) -> Any:
            return outbound.send(fetch(provider, path, **more), lambda _address: True)

        assert await send("/large") == "too_large"
        fits = (await send("/fits"))["response"]
        assert ["x-bytes", "z\u00f6"] in [[name.lower(), value] for name, value in fits["headers"]]
        assert (await send("/moved"))["response"]["status"] == 302
        assert (await send("/packed"))["response"]["body"] == "bm90IGd6aXA="
        began = time.monotonic()
        assert await send("/slow", timeout_ms=200) == "timed_out"
        assert time.monotonic() - began < 2
        assert "unreachable" in await send("/", url="http://127.0.0.1:9/")
        await outbound.close()

    asyncio.run(run())
    assert provider.asked.count("/fits") == 1, "no redirect is followed"


def test_no_proxy_of_the_environment_is_used(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    provider.instead["/"] = (200, {}, b"")
    assert "response" in asyncio.run(Outbound(None).send(fetch(provider, "/"), lambda _address: True))


def test_other_kinds_of_scopes_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text(CONFIGURATION.format(issuer="https://op.example"))
    with pytest.raises(ValueError, match="no login for ASGI scopes"):
        asyncio.run(Vestibule(nothing, file, port=8501)({"type": "webtransport"}, nothing, nothing))  # type: ignore[arg-type]


def test_an_address_that_is_not_admitted_is_not_asked(provider: Provider) -> None:
    asked: list[str] = []

    def refuse(address: str) -> bool:
        asked.append(address)
        return False

    url = provider.issuer.replace("127.0.0.1", "localhost") + "/"
    assert asyncio.run(Outbound(None).send(fetch(provider, "/", url=url), refuse)) == "not_allowed"
    assert "127.0.0.1" in asked and provider.asked == []
    # Each connection is judged for its own request.
    provider.instead["/"] = (200, {}, b"")

    async def twice() -> None:
        outbound = Outbound(None)
        assert (await outbound.send(fetch(provider, "/"), lambda _address: True))["response"]["address"] == "127.0.0.1"
        assert await outbound.send(fetch(provider, "/"), refuse) == "not_allowed"
        await outbound.close()

    asyncio.run(twice())
