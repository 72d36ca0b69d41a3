"""Runs `vestibule` with the configuration of a form, from files as the kubelet or Compose mounts them."""

import contextlib
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from manifests import Unfit, of_kind, require
from pods import options, vestibule

USER = 65532
SECONDS_TO_START = 20
REPLACED = {"APP.EXAMPLE.COM": "app.example.com", "PROVIDER.EXAMPLE.COM": "provider.example.com", "EXAMPLE.COM": "example.com"}


class Program:
    def __init__(self, file, folder):
        # Of what others can change, nothing is served; and another user must come so far.
        folder.chmod(0o755)
        self.folder = folder
        self.file = folder / "vestibule"
        shutil.copyfile(file, self.file)
        self.file.chmod(0o755)
        # As the user of the image, where that can be.
        self.is_root = os.geteuid() == 0
        self.prefix = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if self.is_root else []

    def command(self, *arguments):
        return [*self.prefix, str(self.file), *map(str, arguments)]

    def secret(self):
        return subprocess.run([self.file, "cookie-secret"], check=True, capture_output=True, text=True).stdout.strip()

    def real(self, toml):
        for placeholder, value in REPLACED.items():
            toml = toml.replace(placeholder, value)
        return toml.replace("CLIENT-ID", secrets.token_hex(8))

    def check(self, form, config, is_accepted):
        done = subprocess.run(self.command("check", "--strict", "--config", config), capture_output=True, text=True, timeout=30)
        said = done.stdout + done.stderr
        require((done.returncode == 0) == is_accepted, form, f"`vestibule check --strict` exits with {done.returncode}: {said}")
        return said

    def run_pod(self, form, objects):
        (deployment,) = of_kind(objects, "Deployment")
        pod = deployment["spec"]["template"]["spec"]
        container = vestibule(pod)
        (volume,) = pod["volumes"]
        maps = {item["metadata"]["name"]: item["data"] for item in of_kind(objects, "ConfigMap")}
        texts, names = {}, []
        for source in volume["projected"]["sources"]:
            if "configMap" in source:
                texts |= maps[source["configMap"]["name"]]
            else:
                names += [item["path"] for item in source["secret"]["items"]]
        (mount,) = container["volumeMounts"]
        given = options(container)
        require(given["config"] == f"{mount['mountPath']}/vestibule.toml", form, "the configuration is mounted elsewhere")

        untouched = self.mount(f"{form}-untouched", {**texts, **{name: "xxx" for name in names}})
        said = self.check(form, untouched / "vestibule.toml", is_accepted=False)
        require("is a sample" in said, form, said)
        folder = self.mount(
            form, {**{name: self.real(text) for name, text in texts.items()}, **{name: self.secret() for name in names}}
        )
        config = folder / "vestibule.toml"
        self.check(form, config, is_accepted=True)
        with self.serving(form, container["args"], config) as (listen, admin):
            for probe in ("livenessProbe", "readinessProbe"):
                path = container[probe]["httpGet"]["path"]
                require(status(admin, path) == 200, form, f"{path} answers {status(admin, path)}")
            # `mode = "authz"` answers the proxy of the cluster only, and this machine is none.
            check_refusal(form, listen, 403 if form in ("ingress-nginx", "envoy-gateway") else 401)

    def mount(self, form, texts):
        """The kubelet's way: links to files of a folder that a link leads to, in a folder with the sticky bit."""
        folder = self.folder / form
        version = folder / "..2026_01_01"
        version.mkdir(parents=True)
        for name, text in texts.items():
            self.write(version / name, text, 0, 0o440)
            (folder / name).symlink_to(f"..data/{name}")
        (folder / "..data").symlink_to(version.name)
        folder.chmod(0o1777)
        return folder

    def write(self, path, text, owner, mode):
        path.write_text(text)
        if self.is_root:
            os.chown(path, owner, USER)
        path.chmod(mode)

    def run_compose(self, toml, command, health):
        folder = self.folder / "compose"
        folder.mkdir()
        names = ["client-secret", "cookie-secret"]
        toml = toml.replace("/run/secrets/", f"{folder}/")
        config = folder / "vestibule.toml"
        for is_real in (False, True):
            for name in names:
                self.write(folder / name, self.secret() if is_real else "xxx", USER, 0o400)
            self.write(config, self.real(toml) if is_real else toml, USER, 0o400)
            self.check("compose", config, is_accepted=is_real)
        with self.serving("compose", command, config) as (listen, admin):
            asked = [*health[:-1], f"--admin={admin}"]
            done = subprocess.run(self.command(*asked), capture_output=True, text=True, timeout=10)
            require(done.returncode == 0, "compose", f"the health check exits with {done.returncode}: {done.stderr}")
            check_refusal("compose", listen, 401)
        done = subprocess.run(self.command(*asked), capture_output=True, text=True, timeout=10)
        require(
            done.returncode == 1, "compose", f"the health check of a stopped program exits with {done.returncode}: {done.stderr}"
        )

    @contextlib.contextmanager
    def serving(self, form, arguments, config, listen=None):
        """`vestibule serve` with these arguments, at ports of its own; ended by SIGTERM."""
        given = options({"args": arguments})
        listen, admin = listen or free(), free()
        given |= {"config": str(config), "listen": listen, "admin": admin}
        log = self.folder / f"{form}.log"
        with log.open("w") as output:
            running = subprocess.Popen(
                self.command("serve", *(f"--{name}={value}" for name, value in given.items())), stderr=output
            )
            try:
                wait_for(form, running, admin, log)
                yield listen, admin
                running.send_signal(signal.SIGTERM)
                require(running.wait(int(given["grace"]) + 2) == 0, form, f"it ends with {running.returncode}: {log.read_text()}")
            finally:
                running.kill()
                running.wait()


def free():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


def wait_for(form, running, address, log, path="/healthz"):
    for _ in range(SECONDS_TO_START * 10):
        require(running.poll() is None, form, f"it does not start: {Path(log).read_text()}")
        with contextlib.suppress(OSError):
            status(address, path)
            return
        time.sleep(0.1)
    raise Unfit(f"{form}: it does not start in {SECONDS_TO_START} seconds: {Path(log).read_text()}")


def status(address, path, headers=None):
    return request(address, path, headers)[0]


def request(address, path, headers=None):
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def check_refusal(form, listen, expected):
    got = status(listen, "/", {"Host": "app.example.com"})
    require(got == expected, form, f"a request without a session gets {got}, not {expected}")
