"""Asks the NetworkPolicies of a form which pod reaches which, as a cluster that enforces them answers."""

import ipaddress

from manifests import of_kind, require
from pods import options, vestibule

HERE = "the-namespace-of-the-application"
PROXIES = {
    "front": ("ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"}),
    "envoy-gateway": (
        "envoy-gateway-system",
        {
            "app.kubernetes.io/name": "envoy",
            "app.kubernetes.io/component": "proxy",
            "gateway.envoyproxy.io/owning-gateway-name": "public",
        },
    ),
}
APPLICATION_PORT = 8080


def check(form, objects):
    policies = of_kind(objects, "NetworkPolicy")
    (deployment,) = of_kind(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    container = vestibule(deployment["spec"]["template"]["spec"])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    proxy = PROXIES.get(form, PROXIES["front"])
    is_sidecar, asks = form == "sidecar", form in ("envoy-gateway", "ingress-nginx")
    application = labels if is_sidecar else {"app.kubernetes.io/name": "application"}

    def reaches(client, target, port):
        return any_ingress(policies, ports, client, target, port)

    strangers = [
        (HERE, {}),
        (HERE, {"app.kubernetes.io/name": "other"}),
        # The proxy's labels, in another namespace; and another pod in the proxy's.
        (HERE, proxy[1]),
        (proxy[0], {"app.kubernetes.io/name": "other"}),
        # Vestibule's labels, in another namespace.
        ("elsewhere", labels),
    ]
    for client in strangers:
        require(not reaches(client, application, APPLICATION_PORT), form, f"{client} reaches the application")
        for name, port in ports.items():
            require(not reaches(client, labels, port), form, f"{client} reaches Vestibule at {name}")
    require(reaches(proxy, labels, ports["http"]), form, "the proxy does not reach Vestibule")
    require(not reaches(proxy, labels, ports["admin"]), form, "the proxy reaches the admin port")
    if is_sidecar:
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            if container["name"] != "vestibule":
                require(
                    "ports" not in container and options({"args": ["", *container["args"]]})["listen"].startswith("127.0.0.1:"),
                    form,
                    "loopback",
                )
        require(not reaches(proxy, labels, APPLICATION_PORT), form, "the proxy reaches the application")
        return
    require(reaches(proxy, application, APPLICATION_PORT) == asks, form, "the proxy and the application")
    require(reaches((HERE, labels), application, APPLICATION_PORT) != asks, form, "Vestibule and the application")
    require(not reaches((HERE, labels), application, 22), form, "another port of the application")
    check_egress(form, policies, labels, application, reaches_application=not asks)


def any_ingress(policies, ports, client, target, port):
    """Whether a pod, a namespace's name and labels, reaches another one of the namespace HERE."""
    applying = [policy["spec"] for policy in policies if selects(policy["spec"]["podSelector"], target)]
    applying = [spec for spec in applying if "Ingress" in spec["policyTypes"]]
    if not applying:
        return True
    return any(fits(rule, "from", client, port, ports) for spec in applying for rule in spec.get("ingress", []))


def fits(rule, key, other, port, names):
    given = rule.get("ports")
    if given is not None and not any(names.get(entry["port"], entry["port"]) == port for entry in given):
        return False
    peers = rule.get(key)
    return not peers or any(is_peer(peer, other) for peer in peers)


def is_peer(peer, other):
    if "ipBlock" in peer:
        # Of pods, which have private addresses, a block here fits none: see check_egress.
        return False
    namespace, labels = other
    if "namespaceSelector" in peer:
        wanted = {"kubernetes.io/metadata.name": namespace}
        if not selects(peer["namespaceSelector"], wanted):
            return False
    elif namespace != HERE:
        return False
    return selects(peer.get("podSelector", {}), labels)


def selects(selector, labels):
    require("matchExpressions" not in selector, selector, "this check reads matchLabels only")
    return selector.get("matchLabels", {}).items() <= labels.items()


def check_egress(form, policies, labels, application, reaches_application):
    (spec,) = [
        policy["spec"]
        for policy in policies
        if selects(policy["spec"]["podSelector"], labels) and "Egress" in policy["spec"]["policyTypes"]
    ]
    rules = spec["egress"]

    def reaches(other, port):
        return any(fits(rule, "to", other, port, {}) for rule in rules)

    require(reaches(("kube-system", {"k8s-app": "kube-dns"}), 53), form, "no names")
    require(reaches((HERE, application), APPLICATION_PORT) == reaches_application, form, "egress to the application")
    require(not reaches((HERE, {"app.kubernetes.io/name": "other"}), 443), form, "egress to other pods")
    blocks = [peer["ipBlock"] for rule in rules for peer in rule.get("to", []) if "ipBlock" in peer]
    for address in ("10.1.2.3", "169.254.169.254", "192.168.0.1", "172.20.0.1", "100.100.0.1", "127.0.0.1", "fd00::1", "fe80::1"):
        require(not any(contains(block, address) for block in blocks), form, f"egress to {address}")
    for address in ("203.0.113.7", "2001:db8::7"):
        require(any(contains(block, address) for block in blocks), form, f"no egress to a provider at {address}")


def contains(block, address):
    address = ipaddress.ip_address(address)
    return address in ipaddress.ip_network(block["cidr"]) and not any(
        address in ipaddress.ip_network(entry) for entry in block["except"]
    )
