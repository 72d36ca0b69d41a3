"""Lints and renders the chart with Helm's own engine, and tries what its schema must reject."""

import yaml

from manifests import Unfit, require

VALUES = {
    "existingSecret": "vestibule",
    "upstream": "http://application:8080",
    "trustedProxies": ["10.244.0.0/16"],
    "auth": {
        "redirectUri": "https://APP.EXAMPLE.COM/oauth2callback",
        "clientId": "CLIENT-ID",
        "serverMetadataUrl": "https://PROVIDER.EXAMPLE.COM/.well-known/openid-configuration",
    },
    "ingress": {"enabled": True, "className": "nginx", "host": "app.example.com", "tlsSecret": "app-tls"},
}
# Each is merged into VALUES, and must be refused.
REFUSED = [
    {"existingSecret": ""},
    {"upstream": ""},
    {"upstream": 'http://application:8080"\nlisten = "0.0.0.0:80'},
    {"auth": {**VALUES["auth"], "clientSecret": "x"}},
    {"configuration": 'client_secret = "x"'},
    {"configuration": '[vestibule.session]\n"previous_cookie_secrets" = ["x"]'},
    {"configuration": '[vestibule.session]\nstore = "redis://:s3cret@redis:6379"'},
    {"configuration": "session.store = 'rediss://vestibule:s3cret@redis'"},
    {"configuration": 'session = { "store"="""redis+unix:///run/redis.sock?db=1&pass=s3cret""" }'},
    {"secretKeys": ["cookie-secret"]},
    {"secretKeys": ["../store"]},
    {"networkPolicy": {"providerPorts": []}},
    {"networkPolicy": {"storePort": "redis"}},
    {"image": {"repository": "vestibule", "digest": "latest"}},
    {"replicas": 0},
    {"replicaCount": 3},
    {"ingress": {"enabled": True, "host": ""}},
]


def check(folder):
    """The objects that the chart makes, or None if Helm's engine cannot be had."""
    try:
        import helm_python as helm
    except ImportError:
        print("      NOT checked: the chart; there is no package of Helm's engine for this processor")
        return None
    found = helm.lint(str(folder), VALUES, strict=True)
    worse = [message for message in found["messages"] if message["severity"] > 1]
    require(not found["errors"] and not worse, "helm", f"lint: {found}")
    with helm.Chart.load(str(folder)) as loaded:
        for wrong in [{}, *({**VALUES, **change} for change in REFUSED)]:
            try:
                loaded.render(wrong, name="login")
            except helm.HelmError:
                continue
            raise Unfit(f"deploy/helm: the schema accepts {wrong}")
        objects = render(loaded, VALUES)
        variants = {
            "nobody": {"networkPolicy": {"from": [], "monitoring": []}},
            "monitored": {"networkPolicy": {"from": [], "monitoring": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]}},
        }
        for name, change in variants.items():
            (policy,) = [
                item
                for item in render(loaded, {**VALUES, **change})
                if item["kind"] == "NetworkPolicy" and item["metadata"]["name"] == "login-vestibule"
            ]
            rules = policy["spec"].get("ingress", [])
            require(
                "Ingress" in policy["spec"]["policyTypes"] and all(rule["from"] for rule in rules),
                name,
                "an empty `from` lets in everybody",
            )
            require(len(rules) == (name == "monitored"), name, "rules")
        check_store(loaded)
        pinned = "sha256:" + "0" * 64
        (deployment,) = [item for item in render(loaded, {**VALUES, "image": {"digest": pinned}}) if item["kind"] == "Deployment"]
        require(deployment["spec"]["template"]["spec"]["containers"][0]["image"] == f"vestibule@{pinned}", "helm", "the digest")
    print(
        f"      chart: linted and rendered by Helm {helm.helm_sdk_version()}; its schema refuses {len(REFUSED) + 1} wrong sets of values"
    )
    return objects


def check_store(loaded):
    """A store, a provider at another port, and further keys of the Secret."""
    redis = [{"podSelector": {"matchLabels": {"app": "redis"}}}]
    values = {
        **VALUES,
        "secretKeys": ["store", "previous-cookie-secrets"],
        "configuration": '[vestibule.session]\nstore_file = "store"\n[[vestibule.rule]]\nrequire = { email = "a@example.com" }',
        "networkPolicy": {"providerPorts": [443, 8443], "store": redis, "storePort": 6380},
    }
    objects = render(loaded, values)
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    (volume,) = deployment["spec"]["template"]["spec"]["volumes"]
    (secret,) = [source["secret"] for source in volume["projected"]["sources"] if "secret" in source]
    keys = [(item["key"], item["path"]) for item in secret["items"]]
    require(keys == [(key, key) for key in ("client-secret", "cookie-secret", "store", "previous-cookie-secrets")], "helm", keys)

    def egress(objects):
        (policy,) = [item for item in objects if item["kind"] == "NetworkPolicy" and item["metadata"]["name"] == "login-vestibule"]
        rules = policy["spec"]["egress"]
        require(all(rule["to"] and rule["ports"] for rule in rules), "helm", "an empty list reaches everything")
        return [sorted(port["port"] for port in rule["ports"]) for rule in rules], rules

    ports, rules = egress(objects)
    require(ports == [[53, 53], [443, 8443], [6380], [8080]] and rules[2]["to"] == redis, "helm", ports)
    require(egress(render(loaded, VALUES))[0] == [[53, 53], [443], [8080]], "helm", "a store that nobody named")


def render(loaded, values):
    texts = loaded.render(values, name="login", namespace="the-namespace-of-the-application").values()
    return [document for text in texts for document in yaml.safe_load_all(text) if document]
