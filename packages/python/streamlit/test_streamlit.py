"""Streamlit itself with the middleware: `streamlit run`, and uvicorn."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "tests"))

from provider import Provider  # noqa: E402

CONFIGURATION = """
[auth]
redirect_uri = "http://localhost:{{port}}/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
client_id = "client-1"
client_secret = "a-secret-of-the-client"
server_metadata_url = "{issuer}/.well-known/openid-configuration"

[vestibule]
app = "streamlit"
"""


class Site:
    def __init__(self, command: str, folder: Path, provider: Provider) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.seen = folder / "seen.json"
        for file in ("app.py", "script.py"):
            shutil.copy(FOLDER / file, folder)
        # Where Streamlit reads it as well.
        (folder / ".streamlit").mkdir()
        (folder / ".streamlit" / "secrets.toml").write_text(CONFIGURATION.format(issuer=provider.issuer))
        port = str(self.port)
        commands = {
            "streamlit": ["-m", "streamlit", "run", "app.py", "--server.port", port, "--server.headless", "true"],
            "uvicorn": ["-m", "uvicorn", "app:app", "--port", port],
        }
        environment = os.environ | {"SEEN": str(self.seen), "PORT": port, "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false"}
        self.process = subprocess.Popen([sys.executable, *commands[command]], cwd=folder, env=environment)
        self.browser = httpx.Client(base_url=f"http://localhost:{port}", headers={"accept": "text/html"}, timeout=60, trust_env=False)
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                # Sets Streamlit's own cookie as well.
                self.browser.get("/_stcore/health")
                return
            time.sleep(0.1)
        raise AssertionError("Streamlit does not start")

    @contextlib.contextmanager
    def open(self, cookies: dict[str, str]) -> Iterator[ClientConnection]:
        """As Streamlit's page does; then the script has run."""
        self.seen.unlink(missing_ok=True)
        line = "; ".join(f"{name}={value}" for name, value in cookies.items())
        with connect(
            f"ws://localhost:{self.port}/_stcore/stream",
            origin=f"http://localhost:{self.port}",  # type: ignore[arg-type]
            additional_headers=[("cookie", line)],
            subprotocols=["streamlit", cookies["_streamlit_xsrf"]],  # type: ignore[list-item]
            proxy=None,
        ) as page:
            message = BackMsg()
            message.rerun_script.query_string = ""
            page.send(message.SerializeToString())
            for _ in range(300):
                if self.seen.exists() and self.seen.stat().st_size:
                    break
                time.sleep(0.1)
            yield page

    def user(self) -> dict[str, str]:
        return dict(json.loads(self.seen.read_text()))


@pytest.fixture(params=["streamlit", "uvicorn"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Site, Provider]]:
    provider = Provider()
    site = Site(request.param, tmp_path, provider)
    yield site, provider
    site.process.terminate()
    site.process.wait(20)
    provider.stop()


def test_a_login_fills_st_user_until_the_logout(site: tuple[Site, Provider]) -> None:
    streamlit, provider = site
    browser = streamlit.browser
    anonymous = dict(browser.cookies)
    forged = anonymous | {"_streamlit_user": "forged"}
    with streamlit.open(forged):
        assert streamlit.user() == {"is_logged_in": "False"}
    started = browser.get("/auth/login", params={"provider": "default", "return_to": "/?a=1"})
    returned = browser.get("/oauth2callback?" + urlencode(provider.authorize(started.headers["location"], "alice")))
    assert (returned.status_code, returned.headers["location"]) == (302, "/?a=1")
    with streamlit.open(dict(browser.cookies)) as page:
        user = streamlit.user()
        assert (user["is_logged_in"], user["sub"], user["provider"]) == ("True", "alice", "default")
        assert browser.get("/auth/logout").headers["location"] == "/"
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                page.recv(timeout=10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
    with streamlit.open(dict(browser.cookies)):
        assert streamlit.user() == {"is_logged_in": "False"}
