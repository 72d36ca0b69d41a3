"""What every pod must have: confinement, probes, time to stop, and secrets in files of Vestibule's container only."""

from manifests import of_kind, require

SECONDS_FOR_THE_LOG = 1


def check(form, objects):
    (deployment,) = of_kind(objects, "Deployment")
    spec = deployment["spec"]
    require(spec["replicas"] >= 2, form, "one replica is no node for another to take over")
    pod = spec["template"]["spec"]
    context = pod["securityContext"]
    require(context["runAsNonRoot"] is True, form, "runAsNonRoot")
    require(context["seccompProfile"] == {"type": "RuntimeDefault"}, form, "seccompProfile")
    require(pod["automountServiceAccountToken"] is False, form, "the token of the service account is mounted")
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        require(not pod.get(key), form, key)
    for container in pod["containers"]:
        check_container(form, context, container)
    check_secrets(form, pod)
    check_stop(form, pod)
    (service,) = of_kind(objects, "Service")
    require([port["targetPort"] for port in service["spec"]["ports"]] == ["http"], form, "the Service has another port than http")
    require(service["spec"].get("type", "ClusterIP") == "ClusterIP", form, "the Service is reachable from outside of the cluster")
    labels = spec["template"]["metadata"]["labels"]
    for selector in (service["spec"]["selector"], spec["selector"]["matchLabels"], *budgets(objects)):
        require(selector.items() <= labels.items(), form, f"{selector} does not select the pods")


def budgets(objects):
    return [item["spec"]["selector"]["matchLabels"] for item in of_kind(objects, "PodDisruptionBudget")]


def check_container(form, pod_context, container):
    name, own = container["name"], container["securityContext"]
    require(own["allowPrivilegeEscalation"] is False, form, f"{name}: allowPrivilegeEscalation")
    require(own["readOnlyRootFilesystem"] is True, form, f"{name}: readOnlyRootFilesystem")
    require(own["capabilities"] == {"drop": ["ALL"]}, form, f"{name}: capabilities")
    require("privileged" not in own, form, f"{name}: privileged")
    require({**pod_context, **own}["runAsUser"] > 0, form, f"{name}: runAsUser")
    require("memory" in container["resources"]["limits"], form, f"{name}: no limit of memory")
    require("env" not in container and "envFrom" not in container, form, f"{name}: variables, where a secret may be")


def vestibule(pod):
    (container,) = [container for container in pod["containers"] if container["name"] == "vestibule"]
    return container


def options(container):
    return dict(argument.removeprefix("--").split("=", 1) for argument in container["args"][1:])


def check_secrets(form, pod):
    with_secrets = {
        volume["name"]
        for volume in pod["volumes"]
        if "secret" in volume or any("secret" in source for source in volume.get("projected", {}).get("sources", []))
    }
    require(with_secrets, form, "no secret is mounted")
    for container in pod["containers"]:
        for mount in container.get("volumeMounts", []):
            if mount["name"] in with_secrets:
                require(container["name"] == "vestibule" and mount["readOnly"], form, "another container can read the secrets")
    for volume in pod["volumes"]:
        require(volume["projected"]["defaultMode"] == 0o440, form, "the mounted files have another mode than 0440")


def check_stop(form, pod):
    container = vestibule(pod)
    given = options(container)
    wait = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    enough = wait + int(given["grace"]) + SECONDS_FOR_THE_LOG
    require(pod["terminationGracePeriodSeconds"] > enough, form, f"{enough} seconds are needed to stop")
    for other in pod["containers"]:
        if other is not container:
            stays = other["lifecycle"]["preStop"]["sleep"]["seconds"]
            require(stays >= wait + int(given["grace"]), form, f"{other['name']} stops while Vestibule still forwards")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for kind, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        require(container[kind]["httpGet"] == {"path": path, "port": "admin"}, form, kind)
    require(given["listen"] == f"0.0.0.0:{ports['http']}" and given["admin"] == f"0.0.0.0:{ports['admin']}", form, "ports")
