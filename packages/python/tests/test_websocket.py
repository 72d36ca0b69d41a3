"""WebSockets, in real servers."""

import json
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from conftest import Site, values


def open_live(site: Site, cookies: str, **options: object) -> ClientConnection:
    headers = [("cookie", cookies), ("x-forwarded-user", "mallory")]
    origin = options.pop("origin", site.origin)
    return connect(f"ws://127.0.0.1:{site.port}/live", origin=origin, additional_headers=headers, proxy=None, **options)  # type: ignore[arg-type]


def test_a_websocket_of_a_session_opens_and_is_told_the_user(site: Site) -> None:
    with open_live(site, site.cookies(site.log_in()), subprotocols=["one", "two"]) as socket:
        seen = json.loads(socket.recv())
        assert values(seen, "x-forwarded-user") == ["alice"]
        assert seen["subprotocols"] == ["one", "two"] and socket.subprotocol == "one"
        socket.send("again")
        assert socket.recv() == "again"


@pytest.mark.parametrize(("origin", "session", "status"), [(None, False, 401), ("https://evil.example", True, 403)])
def test_a_websocket_is_refused_before_it_opens(site: Site, origin: str | None, session: bool, status: int) -> None:
    cookies = site.cookies(site.log_in()) if session else "a=b"
    with pytest.raises(InvalidStatus) as refused:
        open_live(site, cookies, origin=origin or site.origin)
    assert refused.value.response.status_code == status
    assert "/live" not in site.application.requests


def test_a_websocket_is_closed_with_its_session(site: Site) -> None:
    browser = site.log_in()
    with open_live(site, site.cookies(browser)) as socket, open_live(site, site.cookies(site.log_in("bob"))) as other:
        socket.recv(), other.recv()
        assert browser.get("/.vestibule/logout").status_code == 200
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
        other.send("still here")
        assert other.recv(timeout=5) == "still here"


def test_a_logout_of_the_provider_ends_the_sessions_of_the_account(sites: Callable[..., Site]) -> None:
    site = sites(single_process=True)
    alice, bob = site.log_in(), site.log_in("bob")
    with open_live(site, site.cookies(alice)) as socket, open_live(site, site.cookies(bob)) as other:
        socket.recv(), other.recv()
        answer = site.browser().post("/.vestibule/backchannel-logout", data={"logout_token": site.provider.logout_token("alice")})
        assert answer.status_code == 200, answer.text
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
        other.send("still here")
        assert other.recv(timeout=5) == "still here"
    assert alice.get("/").status_code == 302 and bob.get("/").status_code == 200


def test_a_logout_of_the_provider_is_not_accepted_where_others_would_not_know(site: Site) -> None:
    alice = site.log_in()
    answer = site.browser().post("/.vestibule/backchannel-logout", data={"logout_token": site.provider.logout_token("alice")})
    assert answer.status_code >= 400
    assert alice.get("/").status_code == 200


def test_streamlit_gets_its_cookies_and_resumes_no_session_of_another_user(sites: Callable[..., Site]) -> None:
    site = sites('[vestibule]\napp = "streamlit"\nlogin = "required"\n')
    cookies = site.cookies(site.log_in()) + "; _streamlit_user=forged; _streamlit_xsrf=kept"
    with connect(
        f"ws://127.0.0.1:{site.port}/_stcore/stream",
        origin=site.origin,  # type: ignore[arg-type]
        additional_headers=[("cookie", cookies)],
        subprotocols=["streamlit", "xsrf", "old-session"],  # type: ignore[list-item]
        proxy=None,
    ) as socket:
        seen = json.loads(socket.recv())
    assert seen["subprotocols"] == ["streamlit", "xsrf"]
    line = "; ".join(values(seen, "cookie"))
    assert "_streamlit_user=" in line and "forged" not in line and "_streamlit_xsrf=kept" in line
