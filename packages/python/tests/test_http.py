"""HTTP requests, in real servers."""

import socket
import time
from collections.abc import Callable

import pytest
from vestibule import _module

from conftest import Site, values


def test_a_page_redirects_to_the_provider_and_a_login_ends_there(site: Site) -> None:
    browser = site.log_in("alice", "/reports?year=2026")
    page = browser.get("/reports?year=2026", headers=[("X-Forwarded-User", "mallory"), ("x_forwarded_user", "eve"), ("x-kept", "z\u00f6".encode("latin-1"))])  # type: ignore[list-item]
    assert page.status_code == 200
    assert values(page.text, "x-forwarded-user") == ["alice"]
    assert values(page.text, "x_forwarded_user") == []
    assert values(page.text, "x-forwarded-for") == ["127.0.0.1"]
    assert values(page.text, "x-kept") == ["z\u00f6"]
    assert values(page.text, "cookie") == [], "the cookies of the login are not for the application"
    assert page.headers["cache-control"] == "public, max-age=60"
    assert site.application.requests == ["/reports"], "nothing else has reached it"


def test_a_script_without_a_session_gets_401(site: Site) -> None:
    answer = site.browser().get("/api", headers={"accept": "application/json"})
    assert answer.status_code == 401 and "www-authenticate" in answer.headers
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 401
    posted = site.browser().post("/count", data={"a": "b"}, headers={"origin": site.origin})
    assert posted.status_code == 401
    assert site.application.requests == []


def test_a_client_is_nobody_without_a_session_where_everybody_may_pass(sites: Callable[..., Site]) -> None:
    site = sites('[vestibule]\nlogin = "optional"\n')
    seen = site.browser().get("/", headers={"x-forwarded-user": "mallory", "x-forwarded-email": "m@example.com"})
    assert values(seen.text, "x-forwarded-user") == values(seen.text, "x-forwarded-email") == []


def test_a_logout_ends_the_session(site: Site) -> None:
    browser = site.log_in()
    old = site.cookies(browser)
    assert browser.get("/").status_code == 200
    assert browser.get("/.vestibule/logout").status_code == 200
    assert browser.get("/").status_code == 302
    assert site.browser().get("/", headers={"cookie": old}).status_code == 302, "the process remembers"


def test_a_callback_of_another_browser_starts_no_session(site: Site) -> None:
    location = site.browser().get("/").headers["location"]
    parameters = site.provider.authorize(location, "mallory")
    other = site.browser()
    assert other.get("/oauth2callback", params=parameters).status_code != 200
    assert other.get("/").status_code == 302 and site.application.requests == []


@pytest.mark.parametrize("path", ["/a/../b", "/%2e%2e/b", "/a%00b", "/a\\b"])
def test_a_path_with_two_readings_is_rejected(site: Site, path: str) -> None:
    cookies = site.cookies(site.log_in())
    with socket.create_connection(("127.0.0.1", site.port), 5) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{site.port}\r\ncookie: {cookies}\r\nconnection: close\r\n\r\n".encode())
        assert connection.recv(100).split(b" ")[1] == b"400"
    assert site.application.requests == []


def test_a_form_of_a_page_passes_and_uploads_stream(site: Site) -> None:
    browser = site.log_in()
    form = browser.post("/echo", data={"name": "value"})
    assert (form.status_code, form.text) == (200, "name=value")
    size = 48 << 20
    pieces = (b"x" * 65_536 for _ in range(size // 65_536))
    assert browser.post("/count", content=pieces).json() == size
    assert browser.post("/count", content=b"y" * 100_000).json() == 100_000


def test_both_bodies_stream(site: Site) -> None:
    cookies = site.cookies(site.log_in())
    with socket.create_connection(("127.0.0.1", site.port), 5) as connection:
        head = f"POST /echo HTTP/1.1\r\nhost: 127.0.0.1:{site.port}\r\ncookie: {cookies}\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.sendall(head.encode() + b"5\r\nfirst\r\n")
        received = b""
        while b"first" not in received:
            piece = connection.recv(4096)
            assert piece, received
            received += piece
        # The request is not over yet.
        connection.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
        while b"second" not in received:
            piece = connection.recv(4096)
            assert piece, received
            received += piece


def test_the_body_of_a_callback_is_read_within_its_limit(sites: Callable[..., Site]) -> None:
    site = sites('[auth.client_kwargs]\nresponse_mode = "form_post"\n')
    browser = site.browser()
    location = browser.get("/reports").headers["location"]
    assert "response_mode=form_post" in location
    parameters = site.provider.authorize(location, "alice")
    # Not more than a server reads ahead: a connection that is closed before it is read to its end may lose the answer.
    assert browser.post("/oauth2callback", data={"state": "x" * 40_000}).status_code == 413
    # The cookies of the login are only with a visit of the same site.
    answer = browser.post("/oauth2callback", data=parameters)
    assert answer.status_code == 303, answer.text
    visited = browser.get(answer.headers["location"])
    assert (visited.status_code, visited.headers["location"]) == (302, "/reports")
    assert site.application.requests == []
    assert browser.get("/").status_code == 200


def test_a_provider_that_is_down_is_a_503_and_sessions_go_on(site: Site) -> None:
    browser = site.log_in()
    site.provider.stop()
    fresh = site.browser()
    site.vestibule._decider._pool._instances = [None, None]
    down = fresh.get("/")
    assert (down.status_code, down.headers["retry-after"]) == (503, "5")
    assert down.headers["content-type"].startswith("text/html")
    assert browser.get("/").status_code == 200


def test_a_redirect_of_the_provider_is_not_followed(site: Site) -> None:
    site.provider.instead["/.well-known/openid-configuration"] = (302, {"location": f"{site.provider.issuer}/elsewhere"}, b"")
    assert site.browser().get("/").status_code == 502
    assert site.provider.asked == ["/.well-known/openid-configuration"]


def test_an_answer_of_the_provider_is_bounded(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.provider.instead["/.well-known/openid-configuration"] = (200, {}, b"{" + b" " * 2_000_000)
    assert site.browser().get("/").status_code == 503
    assert "the answer is too large" in caplog.text


def test_a_trap_costs_one_instance_and_opens_no_door(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = site.log_in()
    monkeypatch.setattr(_module, "CALL_FUEL", 1000)
    for client in (browser, site.browser()):
        for _ in range(3):
            answer = client.get("/")
            assert (answer.status_code, answer.headers["cache-control"]) == (500, "no-store")
    assert site.application.requests == []
    monkeypatch.undo()
    assert browser.get("/").status_code == 200
    # One of two fails: the other makes the page.
    pool = site.vestibule._decider._pool
    browser.get("/")
    instance = pool.take()
    pool.take()

    def trap(_message: object) -> dict[str, object]:
        instance.is_usable = False
        raise _module.InstanceFailed("a trap")

    monkeypatch.setattr(instance, "begin", trap)
    answers = [browser.get("/").status_code for _ in range(4)]
    assert sorted(answers) == [200, 200, 200, 500]


def test_the_events_of_a_request_are_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.log_in()
    codes = [record.vestibule["code"] for record in caplog.records if hasattr(record, "vestibule")]  # type: ignore[attr-defined]
    assert "login.started" in codes and "login.succeeded" in codes, codes
    assert "a-secret-of-the-client" not in caplog.text and "code-0" not in caplog.text


def test_logins_of_one_client_are_limited(sites: Callable[..., Site]) -> None:
    site = sites("[vestibule.limits]\nlogins_per_minute = 3\n")
    answers = [site.browser().get("/") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [302, 302, 302, 429, 429]
    assert int(answers[-1].headers["retry-after"]) in range(1, 21)
    assert site.application.requests == []


def test_a_stream_ends_with_its_session(site: Site) -> None:
    browser = site.log_in()
    with browser.stream("GET", "/events", headers={"accept": "text/event-stream"}) as stream:
        pieces = stream.iter_raw()
        assert next(pieces).startswith(b"data")
        leaving = site.browser()
        leaving.get("/.vestibule/logout", headers={"cookie": site.cookies(browser)})
        with pytest.raises(Exception):  # noqa: B017 - what a client makes of a response without an end
            for _ in pieces:
                pass
    assert site.application.cancelled == ["/events"]


def test_a_stream_ends_when_its_session_expires(sites: Callable[..., Site]) -> None:
    site = sites('[vestibule.session]\nmax_age = "60s"\n')
    browser = site.log_in()
    began = time.monotonic()
    decider = site.vestibule._decider
    with browser.stream("GET", "/events") as stream:
        pieces = stream.iter_raw()
        next(pieces)
        [exchange] = decider.exchanges.all()
        assert exchange._timer is not None and 0 < exchange._timer.when() - exchange._loop.time() <= 60
        exchange._loop.call_soon_threadsafe(exchange.expire, int(time.time()) + 1, time.time())
        with pytest.raises(Exception):  # noqa: B017
            for _ in pieces:
                pass
    assert time.monotonic() - began < 15 and decider.exchanges.all() == []


def test_the_application_has_its_lifespan(site: Site) -> None:
    assert site.application.lifespan == ["lifespan.startup"]
    site.stop()
    assert site.application.lifespan == ["lifespan.startup", "lifespan.shutdown"]


def test_a_head_of_megabytes_costs_no_instance(site: Site) -> None:
    pool = site.vestibule._decider._pool
    instance = pool.take()
    with pytest.raises(_module.InstanceFailed, match="too long"):
        instance.begin({"method": "x" * (9 << 20)})
    assert instance.is_usable
    assert site.log_in().get("/").status_code == 200
