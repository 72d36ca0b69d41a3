"""Reads manifests, and validates them by the schemas that kubernetes-validate and @kubernetes-models/gateway-api carry."""

import json
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import yaml

# The oldest that has what is used (`sleep` before the stop), and the newest that there is a schema for.
VERSIONS = ("1.30", "1.37")

GATEWAY = "gateway.networking.k8s.io/v1"
# There is no package with JSON schemas of these.
WITHOUT_SCHEMA = "gateway.envoyproxy.io/"

SECRET = re.compile(r"""(client_secret|cookie_secret|cookie_secrets)(_env)?["']?\s*=""")


class Unfit(Exception):
    """What is wrong with a file of deploy/."""


def require(condition, form, message):
    if not condition:
        raise Unfit(f"deploy/ ({form}): {message}")


def read(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def load(folder):
    """What `kubectl apply -k` takes of a folder, or `-f` if it has no kustomization; in its order."""
    kustomization = folder / "kustomization.yaml"
    if not kustomization.exists():
        return [document for path in sorted(folder.glob("*.yaml")) for document in read(path)]
    (settings,) = read(kustomization)
    require(set(settings) == {"apiVersion", "kind", "resources"}, kustomization, "this check reads `resources` only")
    found = []
    for name in settings["resources"]:
        path = folder / name
        found += load(path) if path.is_dir() else read(path)
    return found


def validate(objects):
    """By every version; returns the kinds that have no schema."""
    unknown, gateway = set(), []
    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
    require(len(set(names)) == len(names), names, "a name is there twice")
    for item in objects:
        if item["apiVersion"].startswith(WITHOUT_SCHEMA):
            unknown.add(item["kind"])
            continue
        if item["apiVersion"] == GATEWAY:
            gateway.append(item)
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                raise Unfit(f"{item['kind']} {item['metadata']['name']}, by Kubernetes {version}: {error}") from error
    if gateway:
        wrong = by_the_gateway_api(gateway)
        require(not wrong, "Gateway API", wrong)
        # So that a validator which accepts everything is found.
        changed = json.loads(json.dumps(gateway).replace('"Exact"', '"Exactly"'))
        require(by_the_gateway_api(changed), "Gateway API", "its validator accepts a kind of match that there is not")
    return unknown


def by_the_gateway_api(objects):
    """What is wrong with them, or nothing."""
    script = Path(__file__).with_name("gateway.mjs")
    done = subprocess.run(["node", script], input=json.dumps(objects), capture_output=True, text=True, timeout=60)
    require(not done.stderr, "Gateway API", done.stderr)
    return done.stdout


def of_kind(objects, kind):
    return [item for item in objects if item["kind"] == kind]


def check_no_secrets(form, objects):
    for item in of_kind(objects, "ConfigMap"):
        require(
            not any(SECRET.search(text) for text in item["data"].values()), form, "a secret, or its variable, is in a ConfigMap"
        )
    require(not of_kind(objects, "Secret"), form, "a Secret is applied with the rest: it would replace the real one")
