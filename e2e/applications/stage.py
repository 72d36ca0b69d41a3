"""The development provider, an application and Vestibule in front of it, each on a free port of this machine."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "target"
APPS = Path(__file__).parent / "apps"
PYTHON = TARGET / "applications/python/bin"
MLFLOW = TARGET / "applications/mlflow/bin"
PGADMIN = TARGET / "applications/pgadmin/bin"
NODE = ROOT / "e2e/applications/node_modules"
VESTIBULE = Path(os.environ.get("VESTIBULE", ROOT / "dist/vestibule"))
PROVIDER = Path(os.environ.get("PROVIDER", TARGET / "release/examples/serve"))

# Some applications load half a gigabyte of packages first, and the machine may be busy with other builds.
START_SECONDS = 180

# As a browser that shows a page. Without `Sec-Fetch-Dest`, the login begins with a redirect, which a client without scripts follows.
VISIT = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}
# What a client sends to be someone else.
FORGED = {"X-Forwarded-User": "mallory", "X-Forwarded-Email": "mallory@example.com", "REMOTE_USER": "mallory"}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Process:
    """A program of its own process group, with its output in a file."""

    def __init__(self, folder, name, command, **environment):
        self.name, self.log = name, Path(folder) / f"{name}.log"
        self.output = self.log.open("w")
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), **environment},
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def answers(self, url):
        """Waits for any answer at `url`."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                return httpx.get(url, timeout=10, trust_env=False)
            except httpx.TransportError:
                time.sleep(0.2)
        raise AssertionError(f"{self.name} does not answer at {url}; its output:\n{self.log.read_text()[-4000:]}")

    def stop(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self.output.close()


class Stage(unittest.TestCase):
    """One application, with everything that its login needs."""

    def stand(self, base, command, *, ready="/", **environment):
        """Starts `command`, a function of the application's port and its folder, with Vestibule below the path `base`."""
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        provider_port, port, edge_port = free_port(), free_port(), free_port()
        self.origin, self.base = f"http://127.0.0.1:{edge_port}", base
        provider = self.start("provider", [PROVIDER, provider_port])
        provider.answers(f"http://127.0.0.1:{provider_port}/.well-known/openid-configuration")
        config = self.folder / "secrets.toml"
        config.touch(0o600)
        config.write_text(
            f"""[auth]
redirect_uri = "{self.origin}{base}/oauth2callback"
cookie_secret = "{os.urandom(32).hex()}"
client_id = "vestibule-demo"
client_secret = "vestibule-demo-secret"
server_metadata_url = "http://127.0.0.1:{provider_port}/.well-known/openid-configuration"
"""
        )
        application = self.start("application", command(port, self.folder), **environment)
        application.answers(f"http://127.0.0.1:{port}{base}{ready}")
        listen = f"127.0.0.1:{edge_port}"
        edge = self.start("vestibule", [VESTIBULE, "serve", "--config", config, "--listen", listen, "--upstream", f"http://127.0.0.1:{port}"])
        edge.answers(f"{self.origin}/")

    def start(self, name, command, **environment):
        process = Process(self.folder, name, command, **environment)
        self.addCleanup(process.stop)
        return process

    def url(self, path):
        return f"{self.origin}{self.base}{path}"

    def refuses_strangers(self, *sockets):
        """Without a session, no page, no data and no WebSocket."""
        stranger = httpx.Client(trust_env=False)
        self.addCleanup(stranger.close)
        page = stranger.get(self.url("/"), headers=VISIT | FORGED)
        self.assertEqual(302, page.status_code)
        self.assertIn("/authorize", page.headers["location"])
        self.assertEqual(401, stranger.get(self.url("/"), headers=FORGED).status_code)
        for path in sockets:
            with self.assertRaisesRegex(Exception, "HTTP 401"):
                connect(self.url(path).replace("http", "ws", 1), origin=self.origin, proxy=None)

    def visitor(self, person="alice"):
        """A client that has logged in, and the page that it requested."""
        client = httpx.Client(follow_redirects=True, timeout=60, trust_env=False, headers=FORGED)
        self.addCleanup(client.close)
        consent = client.get(self.url("/"), headers=VISIT)
        action = re.search(r'<form method="post" action="([^"]+)"', consent.text)
        self.assertTrue(action, f"no login at the provider, but {consent.status_code} {consent.url}")
        page = client.post(urljoin(str(consent.url), unescape(action[1])), data={"person": person}, headers=VISIT)
        self.assertEqual(200, page.status_code, page.text[:1000])
        self.assertTrue(str(page.url).startswith(self.origin), page.url)
        return client, page

    def shows(self, text, path="/"):
        """Chromium logs in, and the page at `path` shows `text`."""
        # Of a page that was looked at: SCREENSHOTS=folder keeps what it looked like.
        picture = [f"{folder}/{self.id().rsplit('.', 1)[1]}{self.base.replace('/', '-')}.png"] if (folder := os.environ.get("SCREENSHOTS")) else []
        look = subprocess.run(
            ["node", Path(__file__).parent / "look.mjs", self.url(path), text, *picture], capture_output=True, text=True, timeout=300, check=False
        )
        self.assertEqual(0, look.returncode, look.stdout + look.stderr)

    def socket(self, client, path, **options):
        """A WebSocket with the session of `client`, as a page of the application opens it."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)
        headers = {"Cookie": cookies, **FORGED}
        url = self.url(path).replace("http", "ws", 1)
        # The frames of some applications are megabytes.
        return connect(url, origin=self.origin, additional_headers=headers, max_size=None, open_timeout=60, proxy=None, **options)
