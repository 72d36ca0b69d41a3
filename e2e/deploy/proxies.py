"""Runs what deploy/ gives ingress-nginx and Envoy Gateway in the real nginx and Envoy, with what the controllers put around it.

The frames here are short forms of what the controllers generate, so that this shows what the snippets and the policy do, and not what
a controller makes of them.
"""

import http.client
import http.server
import json
import re
import subprocess
import threading
import urllib.request
from contextlib import contextmanager

from envoy import envoy_configuration
from manifests import of_kind, require
from nginx import nginx_configuration
from program import free, request, wait_for
from visit import CLIENT, VISIT, log_in, provider

FORGED = "forged-by-the-client"
# Beyond that many at once, Vestibule answers 431.
HEADERS_AT_ONCE = 40
# What docs/hosts/envoy-gateway.md warns of: Envoy Gateway shows Vestibule no header that is not named letter by letter.
REACHING = {"envoy-gateway": ["X.Forwarded.User", "Remote-Other"]}
FORMS = {"ingress-nginx": ("nginx", nginx_configuration), "envoy-gateway": ("envoy", envoy_configuration)}


def check(forms, root, servers, provider_file, program):
    lines = (root / "examples/nginx/removed-headers.conf").read_text().splitlines()
    removed = [line.split()[1] for line in lines if line.startswith("proxy_set_header")]
    check_lists(forms, removed, [line for line in lines if line.startswith("proxy_set_header")])
    for form, (name, configuration) in FORMS.items():
        server = servers / name
        if not server.exists():
            print(f"      NOT run: {form}; scripts/check-servers.sh installs {name}")
            continue
        folder = program.folder / f"{form}-proxy"
        folder.mkdir()
        run(form, forms[form], removed, server, configuration, folder, provider_file, program)
        print(
            f"      {form}: {name} admits nobody without a session or an answer, and removes {len(removed)} headers that clients must not send"
        )
        if not provider_file.exists():
            print(f"      NOT run: a login through {name}; `make test` builds the development provider")


def check_lists(forms, removed, lines):
    """Both have every header of the example, which the tests compare with the code."""
    (policy,) = of_kind(forms["envoy-gateway"], "SecurityPolicy")
    shown = policy["spec"]["extAuth"]["headersToExtAuth"]
    require(len(set(shown)) == len(shown), "envoy-gateway", "a header is there twice")
    require(set(removed) <= set(shown), "envoy-gateway", f"missing: {set(removed) - set(shown)}")
    backend = policy["spec"]["extAuth"]["http"]["headersToBackend"]
    require(set(backend) <= set(shown), "envoy-gateway", f"a client's copy is not seen: {set(backend) - set(shown)}")
    require(policy["spec"]["extAuth"]["failOpen"] is False, "envoy-gateway", "it fails open")
    (target,) = policy["spec"]["targetRefs"]
    routes = {route["metadata"]["name"]: route["spec"] for route in of_kind(forms["envoy-gateway"], "HTTPRoute")}
    leading = [
        name
        for name, spec in routes.items()
        for rule in spec["rules"]
        for ref in rule["backendRefs"]
        if ref["name"] == "application"
    ]
    require(leading == [target["name"]], "envoy-gateway", f"{leading} lead to the application, and {target['name']} asks")
    snippet = annotations(forms["ingress-nginx"])["configuration-snippet"]
    code = "\n".join(line for line in snippet.splitlines() if not line.startswith("#"))
    given = {f"{directive.strip()};" for directive in code.split(";")}
    require(set(lines) <= given, "ingress-nginx", f"missing: {set(lines) - given}")
    for objects in (forms["ingress-nginx"], forms["front"]):
        for ingress in of_kind(objects, "Ingress"):
            names = {name.split("/")[1] for name in ingress["metadata"].get("annotations", {})}
            require(not names & {"satisfy", "auth-url", "custom-http-errors"}, "ingress-nginx", f"{names}")


def annotations(objects):
    (ingress,) = [item for item in of_kind(objects, "Ingress") if item["metadata"]["name"] == "application"]
    return {name.split("/")[1]: value for name, value in ingress["metadata"]["annotations"].items()}


def run(form, objects, removed, server, configuration, folder, provider_file, program):
    public, asked = free(), free()
    with application() as (upstream, reached):
        command = configuration(objects, server, folder, public, asked, upstream)
        log = folder / "log"
        with log.open("w") as output:
            running = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
            try:
                wait_for(form, running, public, log)
                with program.serving(form, arguments(asked), config(form, objects, folder, program, public, "required"), asked):
                    check_refused(form, public, reached)
                with program.serving(form, arguments(asked), config(form, objects, folder, program, public, "optional"), asked):
                    check_forged(form, public, removed, reached)
                    check_upgrades(form, public, reached)
                if provider_file.exists():
                    with provider(provider_file, folder) as metadata:
                        file = config(form, objects, folder, program, public, "session", metadata)
                        with program.serving(form, arguments(asked), file, asked):
                            check_session(form, public)
                # Vestibule is gone.
                reached.clear()
                got, _ = request(public, "/")
                # Envoy answers 403, unless `statusOnError` is set.
                require(got in (403, 500, 502, 503) and not reached, form, f"without Vestibule, a request gets {got}")
            finally:
                running.terminate()
                running.wait()


def arguments(asked):
    return ["serve", "--grace=1", f"--listen={asked}"]


def config(form, objects, folder, program, public, login, metadata=None):
    (data,) = [item["data"] for item in of_kind(objects, "ConfigMap")]
    toml = program.real(data["vestibule.toml"]).replace("https://app.example.com", f"http://{public}")
    toml = re.sub(r"trusted_proxies = .*", 'trusted_proxies = ["127.0.0.1"]', toml)
    if login == "optional":
        toml = toml.split("[[vestibule.rule]]")[0].replace("[vestibule]\n", '[vestibule]\nlogin = "optional"\n', 1)
    client_secret = program.secret()
    if metadata:
        toml = re.sub(r"server_metadata_url = .*", f'server_metadata_url = "{metadata}"', toml)
        toml = re.sub(r"client_id = .*", f'client_id = "{CLIENT["client_id"]}"', toml)
        client_secret = CLIENT["client_secret"]
    path = folder / login
    path.mkdir()
    for name, text in {"vestibule.toml": toml, "client-secret": client_secret, "cookie-secret": program.secret()}.items():
        program.write(path / name, text, 0, 0o440)
    return path / "vestibule.toml"


@contextmanager
def application():
    """Answers with the headers that reach it; `reached` has the names of each request's."""
    reached = []

    class Echo(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            reached.append(self.headers.keys())
            body = json.dumps(self.headers.items()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", reached
    finally:
        server.shutdown()


def check_refused(form, public, reached):
    reached.clear()
    for path, headers, expected in (
        ("/", {}, 401),
        ("/", VISIT, 302),
        ("/.vestibule/check", {}, 404),
        ("/.vestibule/check/x", {}, 404),
        ("/.vestibule/refusal", {}, 404),
    ):
        got, body = request(public, path, headers)
        require(got == expected and not reached, form, f"GET {path} {headers} gets {got}, not {expected}: {body[:300]}, {reached}")
    got, body = request(public, "/.vestibule/user")
    require(got == 200 and json.loads(body) == {"is_logged_in": False}, form, f"/.vestibule/user: {got} {body}")


def check_session(form, public):
    """The application is told who it is by Vestibule alone, and gets no cookie of Vestibule."""
    opener, sub, page = log_in(form, public, "/reports?year=2026")
    forged = urllib.request.Request(f"http://{public}/", headers={"X-Forwarded-User": FORGED})
    with opener.open(forged, timeout=10) as response:
        again = response.read()
    for body in (page, again):
        told = [(name.lower(), value) for name, value in json.loads(body)]
        require([value for name, value in told if name == "x-forwarded-user"] == [sub], form, f"{sub} is not told: {told}")
        require(
            not any("vestibule_" in value or FORGED in value for _, value in told),
            form,
            f"a cookie of Vestibule, or a forged value: {told}",
        )


def check_forged(form, public, removed, reached):
    own = [
        "X-Forwarded-User",
        "X-Forwarded-Provider",
        "X-Forwarded-Email",
        "X-Forwarded-Preferred-Username",
        "X-Forwarded-Groups",
        "X-Forwarded-Access-Token",
    ]
    names = [*own, *removed]
    for start in range(0, len(names), HEADERS_AT_ONCE):
        reached.clear()
        some = names[start : start + HEADERS_AT_ONCE]
        got, body = request(public, "/", dict.fromkeys(some, FORGED))
        require(got == 200 and reached, form, f"{some} get {got}: {body[:300]}")
        left = [name for name, value in json.loads(body) if FORGED in value]
        require(not left, form, f"forged headers reach the application: {left}")
    for name in ("X_Forwarded_User", "x-forwarded_user", "X.Forwarded.User", "Remote-Other"):
        _, body = request(public, "/", {name: FORGED})
        passes = FORGED.encode() in body
        require(passes == (name in REACHING.get(form, [])), form, f"{name}, which docs/hosts/envoy-gateway.md says otherwise: {body}")
    # What says how a request arrived is the proxy's.
    for name in ("Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-IP"):
        got, body = request(public, "/", {name: FORGED})
        require(FORGED.encode() not in body, form, f"{name} reaches the application: {body}")


def check_upgrades(form, public, reached):
    for upgrade, passes in (("h2c", False), ("websocket, h2c", False), ("websocket", True)):
        reached.clear()
        headers = {"Connection": "Upgrade", "Upgrade": upgrade, "Origin": f"http://{public}"}
        if passes:
            headers |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        try:
            got, body = request(public, "/", headers)
        except http.client.HTTPException as error:
            got, body = 0, str(error).encode()
        has_upgrade = any(name.lower() == "upgrade" for names in reached for name in names)
        require(has_upgrade == passes, form, f"Upgrade: {upgrade} gets {got}: {body[:300]}")
