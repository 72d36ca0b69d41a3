"""Checks deploy/: by the schemas of Kubernetes and Compose, by Helm's own engine, by rules of ours, and with the program itself.

    check.py PROGRAM SERVERS PROVIDER

PROGRAM is `vestibule`. SERVERS is a folder with nginx and Envoy, PROVIDER the development provider; what of them is not there is not
run. Every claim of
docs/deploy.md about what was checked is one of the lines that this prints.
"""

import sys
import tempfile
from pathlib import Path

import chart
import compose
import manifests
import network
import pods
import proxies
from program import Program

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def main():
    program_file, servers, provider = (Path(argument).resolve() for argument in sys.argv[1:])
    forms = {name: manifests.load(DEPLOY / "kubernetes" / name) for name in ("front", "sidecar", "ingress-nginx", "envoy-gateway")}
    rendered = chart.check(DEPLOY / "helm" / "vestibule")
    if rendered is not None:
        forms["helm"] = rendered
    examples = manifests.read(DEPLOY / "kubernetes" / "base" / "secret.example.yaml")

    not_checked = set()
    for objects in [*forms.values(), examples]:
        not_checked |= manifests.validate(objects)
    print(
        f"      manifests: strictly, by the schemas of Kubernetes {' and '.join(manifests.VERSIONS)}, and by those of the Gateway API"
    )
    print(f"      NOT checked by a schema: {', '.join(sorted(not_checked))}")

    for name, objects in forms.items():
        manifests.check_no_secrets(name, objects)
        pods.check(name, objects)
        network.check(name, objects)
    print("      no secret in a variable or a ConfigMap; pods are confined; no other pod reaches an application or an admin port")

    with tempfile.TemporaryDirectory() as folder:
        program = Program(program_file, Path(folder))
        for name, objects in forms.items():
            program.run_pod(name, objects)
        compose.check(DEPLOY / "compose", program)
        print("      `vestibule check` rejects the placeholders; it and `serve` accept each configuration, once they are replaced")
        proxies.check(forms, ROOT, servers, provider, program)


if __name__ == "__main__":
    main()
