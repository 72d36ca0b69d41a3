"""Applications as they come from PyPI and npm, behind `vestibule serve`: each with the settings of docs/applications.

Every test runs at the root of the host and below a base path. It logs in, requests a page and what the page loads, and opens the
WebSocket that the page opens, where there is one. Every request carries forged headers, which must have no effect. Then Chromium
logs in, and the page shows what it shows without Vestibule.
"""

import json
import re
import shutil
import socketserver
import sys
import threading
import time
import unittest
import uuid
from pathlib import Path
from urllib.parse import urljoin

from stage import APPS, MLFLOW, NODE, PGADMIN, PYTHON, ROOT, VISIT, Stage

BASES = ("", "/app")


def each_base(test):
    """Runs a test at the root of the host, and below a base path."""

    def both(self):
        for base in BASES:
            with self.subTest(base=base or "/"):
                test(self, base)
                self.doCleanups()

    return both


def receive_until(socket, found, seconds=60):
    """Receives messages until `found` accepts one."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        message = socket.recv(timeout=left)
        if found(message):
            return message
    raise AssertionError("no such message")


class Documentation(unittest.TestCase):
    """docs/applications has what the tests run."""

    pages = {page.stem: page.read_text() for page in sorted((ROOT / "docs/applications").glob("*.md"))}
    # The program of the test for each page, and what it has in place of the port and the base path of the page.
    programs = {
        "dash": ("dash_app.py", {'f"{base}/"': '"/app/"', "port=port": "port=8050"}),
        "django": ("django_user.py", {}),
        "fastapi": ("fastapi_app.py", {"prefix=base": 'prefix="/app"', 'f"{base}/': '"/app/'}),
        "flask": ("flask_app.py", {"url_prefix=base": 'url_prefix="/app"', 'f"{base}/static"': '"/app/static"'}),
        "gradio": ("gradio_app.py", {'path=base or "/"': 'path="/app"'}),
        "jupyter": ("jupyter_config.py", {}),
    }
    # Lines of pages for what the test says on the command line, or in another way.
    otherwise = {
        "django": {"# vestibule_user.py"},
        "flask": {"return f\"Hello {unquote(request.headers['X-Forwarded-User'])}\""},
        "gradio": {'app = gr.mount_gradio_app(FastAPI(), gr.Interface(greet, "text", "text"), path="/app")'},
        "jupyter": {'c.ServerApp.ip = "127.0.0.1"', 'c.ServerApp.base_url = "/app"'},
        "dash": {"from dash import Dash, Input, Output, callback"},
    }

    def test_programs_are_python(self):
        count = 0
        for name, page in self.pages.items():
            for program in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
                compile(program, name, "exec")
                count += 1
        self.assertGreaterEqual(count, 7)

    def test_programs_are_those_of_the_tests(self):
        for name, (file, replacements) in self.programs.items():
            program = (APPS / file).read_text()
            for run, shown in replacements.items():
                program = program.replace(run, shown)
            lines = {line.strip() for line in program.splitlines()}
            shown = re.search(r"^```python\n(.*?)^```$", self.pages[name], re.MULTILINE | re.DOTALL)[1]
            extra = {line.strip() for line in shown.splitlines()} - lines - self.otherwise.get(name, set())
            self.assertFalse(extra, f"docs/applications/{name}.md has lines that {file} does not have")

    def test_options_are_those_of_the_tests(self):
        tests = Path(__file__).read_text() + "".join(file.read_text() for file in APPS.glob("*.*"))
        for name in ("marimo", "mlflow", "panel", "prometheus", "vite", "novnc"):
            section = self.pages[name].split("## Settings of Vestibule")[1].split("\n## ", 1)[1]
            command = re.search(r"^    (\S.*)$", section, re.MULTILINE)[1]
            for option in re.findall(r"(?<!\S)--[a-z][a-z.-]+", command):
                self.assertIn(option, tests, f"docs/applications/{name}.md")


class Frameworks(Stage):
    @each_base
    def test_flask(self, base):
        self.stand(base, lambda port, _: [PYTHON / "python", APPS / "flask_app.py", port, base])
        self.refuses_strangers()
        _, page = self.visitor()
        self.assertEqual(f"Hello alice. You requested {self.url('/')} from 127.0.0.1.", page.text)
        self.shows("Hello alice.")

    @each_base
    def test_fastapi(self, base):
        self.stand(base, lambda port, _: [PYTHON / "python", APPS / "fastapi_app.py", port, base])
        self.refuses_strangers("/echo")
        client, page = self.visitor()
        self.assertEqual("Hello alice", page.json())
        self.assertEqual(200, client.get(self.url("/openapi.json")).status_code)
        with self.socket(client, "/echo") as socket:
            socket.send("a message")
            self.assertEqual("alice: a message", socket.recv(timeout=60))
        self.shows("Hello alice")

    @each_base
    def test_django(self, base):
        self.stand(base, lambda port, _: [PYTHON / "python", APPS / "django_app.py", port, base])
        self.refuses_strangers()
        client, page = self.visitor("chloe")
        self.assertIn("Hello chloe, GET, stored: True", page.text)
        token = re.search("token=([^;]+);", page.text)[1]
        posted = client.post(self.url("/"), headers={"X-CSRFToken": token, "Origin": self.origin})
        self.assertIn("Hello chloe, POST", posted.text)
        self.shows("Hello alice")


class Dashboards(Stage):
    @each_base
    def test_dash(self, base):
        self.stand(base, lambda port, _: [PYTHON / "python", APPS / "dash_app.py", port, base])
        self.refuses_strangers()
        client, page = self.visitor()
        scripts = re.findall(r'<script src="([^"]+)"', page.text)
        self.assertTrue(scripts)
        for script in scripts:
            self.assertEqual(200, client.get(f"{self.origin}{script}").status_code, script)
        output = {"id": "result", "property": "children"}
        question = {
            "output": "result.children",
            "outputs": output,
            "inputs": [{"id": "number", "property": "value", "value": 21}],
            "changedPropIds": ["number.value"],
            "state": [],
        }
        answer = client.post(self.url("/_dash-update-component"), json=question, headers={"Origin": self.origin})
        self.assertEqual("alice: 42", answer.json()["response"]["result"]["children"])
        self.shows("alice: 40")

    @each_base
    def test_panel(self, base):
        command = [PYTHON / "panel", "serve", APPS / "panel_app.py", "--address", "127.0.0.1", "--prefix", base or "/", "--index", "panel_app"]

        def at(port, _):
            # The origin of the page, which is not the address that Panel listens on.
            return [*command, "--port", port, "--allow-websocket-origin", self.origin.removeprefix("http://")]

        self.stand(base, at)
        self.refuses_strangers("/panel_app/ws")
        client, _ = self.visitor()
        page = client.get(self.url("/panel_app"), headers=VISIT)
        token = json.loads(re.search(r'"token":("[^"]+")', page.text)[1])
        with self.socket(client, "/panel_app/ws", subprotocols=["bokeh", token]) as socket:
            receive_until(socket, lambda message: "ACK" in message)
            for part in ({"msgid": "1", "msgtype": "PULL-DOC-REQ"}, {}, {}):
                socket.send(json.dumps(part))
            receive_until(socket, lambda message: "Hello alice" in message)
        self.shows("Hello alice", "/panel_app")

    @each_base
    def test_marimo(self, base):
        command = [PYTHON / "marimo", "run", APPS / "marimo_app.py", "--headless", "--host", "127.0.0.1", "--no-token"]
        if base:
            command += ["--base-url", base]
        self.stand(base, lambda port, _: [*command, "--port", port])
        session = f"s_{uuid.uuid4().hex[:6]}"
        self.refuses_strangers(f"/ws?session_id={session}")
        client, page = self.visitor()
        self.assertIn("marimo", page.text)
        with self.socket(client, f"/ws?session_id={session}") as socket:
            receive_until(socket, lambda message: "Hello alice" in str(message))
        self.shows("Hello alice")

    @each_base
    def test_gradio(self, base):
        self.stand(base, lambda port, _: [PYTHON / "python", APPS / "gradio_app.py", port, base], GRADIO_ANALYTICS_ENABLED="False")
        self.refuses_strangers()
        client, page = self.visitor()
        config = client.get(self.url("/config")).json()
        # The page's scripts send their requests there: it must be the public address.
        self.assertEqual(self.url("").rstrip("/"), config["root"].rstrip("/"))
        scripts = re.findall(r'(?:src|href)="(?:\./)?(assets/[^"]+\.js)"', page.text)
        for script in scripts:
            self.assertEqual(200, client.get(self.url(f"/{script}")).status_code, script)
        event = client.post(self.url("/gradio_api/call/greet"), json={"data": ["Bob"]}, headers={"Origin": self.origin}).json()["event_id"]
        with client.stream("GET", self.url(f"/gradio_api/call/greet/{event}")) as stream:
            self.assertIn("alice greets Bob", "".join(stream.iter_text()))
        self.shows("Submit")


class Notebooks(Stage):
    @each_base
    def test_jupyter(self, base):
        def at(port, folder):
            return [
                PYTHON / "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--config", APPS / "jupyter_config.py",
                f"--ServerApp.base_url={base or '/'}", f"--ServerApp.root_dir={folder}",
            ]  # fmt: skip

        self.stand(base, at, ready="/api")
        self.refuses_strangers("/api/events/subscribe")
        client, page = self.visitor()
        self.assertIn("JupyterLab", page.text)
        self.assertEqual("alice", client.get(self.url("/api/me")).json()["identity"]["username"])
        headers = {"X-XSRFToken": client.cookies["_xsrf"], "Origin": self.origin}
        kernel = client.post(self.url("/api/kernels"), json={"name": "python3"}, headers=headers).json()["id"]
        with self.socket(client, f"/api/kernels/{kernel}/channels") as socket:
            content = {"code": "print(6 * 7)", "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
            header = {"msg_id": "1", "msg_type": "execute_request", "username": "alice", "session": "1", "version": "5.3", "date": ""}
            socket.send(json.dumps({"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}))
            receive_until(socket, lambda message: '"text": "42\\n"' in message or '"text":"42\\n"' in message)
        self.shows("Python 3 (ipykernel)")


class Tools(Stage):
    @each_base
    def test_mlflow(self, base):
        def at(port, folder):
            options = ["--allowed-hosts", self.origin.removeprefix("http://"), "--cors-allowed-origins", self.origin]
            if base:
                options += ["--static-prefix", base]
            store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", folder / "artifacts"]
            return [MLFLOW / "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1", *options, *store]

        self.stand(base, at)
        self.refuses_strangers()
        client, page = self.visitor()
        self.assertIn("MLflow", page.text)
        scripts = re.findall(r'src="([^"]*static-files/[^"]+\.js)"', page.text)
        self.assertTrue(scripts)
        for script in scripts:
            self.assertEqual(200, client.get(urljoin(self.url("/"), script)).status_code, script)
        question = {"max_results": 10}
        answer = client.post(self.url("/ajax-api/2.0/mlflow/experiments/search"), json=question, headers={"Origin": self.origin})
        self.assertEqual("Default", answer.json()["experiments"][0]["name"], answer.text)
        self.shows("Experiments")

    @each_base
    def test_node_red(self, base):
        def at(_, folder):
            return ["node", NODE / "node-red/red.js", "--settings", APPS / "node-red-settings.js", "--userDir", folder]

        # The port is an environment variable: the settings are a program.
        self.stand(base, lambda port, folder: ["env", f"PORT={port}", *at(port, folder)], BASE=base)
        self.refuses_strangers("/comms")
        client, page = self.visitor()
        self.assertIn("Node-RED", page.text)
        self.assertEqual(200, client.get(self.url("/settings")).status_code)
        with self.socket(client, "/comms") as socket:
            socket.send(json.dumps({"subscribe": "notification/#"}))
            receive_until(socket, lambda message: "notification" in message or "hb" in message)
        self.shows("Flow 1")

    @each_base
    def test_vite(self, base):
        def at(port, folder):
            (folder / "index.html").write_text('<script type="module" src="/main.js"></script>')
            (folder / "main.js").write_text("console.log(1)")
            return ["node", NODE / "vite/bin/vite.js", "--host", "127.0.0.1", "--port", port, "--strictPort", "--base", f"{base}/"]

        self.stand(base, at)
        client, page = self.visitor()
        self.assertIn(f"{base}/@vite/client", page.text)
        script = client.get(self.url("/@vite/client")).text
        token = re.search(r'wsToken = "([^"]+)"', script)[1]
        self.refuses_strangers(f"/?token={token}")
        with self.socket(client, f"/?token={token}", subprotocols=["vite-hmr"]) as socket:
            self.assertEqual("connected", json.loads(socket.recv(timeout=60))["type"])
            (self.folder / "index.html").write_text("<p>changed</p>")
            receive_until(socket, lambda message: json.loads(message)["type"] == "full-reload")
        self.shows("changed")

    def test_pgadmin(self):
        """At the root only: pgAdmin's own server has no base path. A server such as gunicorn has one, `SCRIPT_NAME`."""
        environment = {
            "PYTHONPATH": str(APPS / "pgadmin"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PGADMIN_SETUP_EMAIL": "admin@example.com",
            "PGADMIN_SETUP_PASSWORD": uuid.uuid4().hex,
        }
        self.stand("", lambda port, _: ["env", f"PORT={port}", PGADMIN / "pgadmin4"], ready="/misc/ping", **environment)
        socket = "/socket.io/?EIO=4&transport=websocket"
        self.refuses_strangers(socket)
        client, page = self.visitor()
        self.assertIn("pgAdmin", page.text)
        user = client.get(self.url("/user_management/current_user.js")).text
        self.assertIn("alice", user)
        self.assertNotIn("mallory", user)
        with self.socket(client, socket) as opened:
            self.assertTrue(opened.recv(timeout=60).startswith("0{"))
        self.shows("Object Explorer")

    @unittest.skipUnless(shutil.which("prometheus"), "prometheus is not installed; it is a package of Debian")
    @each_base
    def test_prometheus(self, base):
        def at(port, folder):
            (folder / "prometheus.yml").touch()
            external = ["--web.external-url", self.url("/"), "--web.route-prefix", base or "/"]
            return ["prometheus", "--config.file", "prometheus.yml", "--web.listen-address", f"127.0.0.1:{port}", *external]

        self.stand(base, at, ready="/-/ready")
        self.refuses_strangers()
        client, page = self.visitor()
        self.assertIn("Prometheus", page.text)
        self.assertTrue(str(page.url).startswith(self.url("/")) and page.url.path.endswith("/graph"), page.url)
        self.assertEqual("success", client.get(self.url("/api/v1/query?query=1")).json()["status"])
        self.shows("Execute")

    def test_novnc(self):
        """At the root only: websockify has no base path. The desktop says that it admits no one, by noVNC's WebSocket."""

        class Desktop(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.sendall(b"RFB 003.008\n")
                # RFC 6143, section 7.1.2: no security types, and the reason.
                if self.request.recv(12):
                    reason = b"a desktop for tests"
                    self.request.sendall(b"\0" + len(reason).to_bytes(4, "big") + reason)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Desktop)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        address = f"127.0.0.1:{server.server_address[1]}"

        def at(port, folder):
            for part in ("core", "vendor"):
                (folder / "web" / part).parent.mkdir(exist_ok=True)
                (folder / "web" / part).symlink_to(NODE / "@novnc/novnc" / part)
            (folder / "web/index.html").symlink_to(APPS / "novnc.html")
            return [PYTHON / "websockify", "--web", folder / "web", f"127.0.0.1:{port}", address]

        self.stand("", at)
        self.refuses_strangers("/websockify")
        client, _ = self.visitor()
        with self.socket(client, "/websockify", subprotocols=["binary"]) as socket:
            self.assertEqual(b"RFB 003.008\n", socket.recv(timeout=60))
        self.shows("a desktop for tests")


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=sys.argv)
