"""Validates the compose file by a typed parser of the Compose specification, and by rules of ours; runs its configuration."""

import compose_spec
import yaml

from manifests import SECRET, require

FORM = "compose"


def check(folder, program):
    text = (folder / "compose.yaml").read_text()
    compose_spec.PyCompose.from_yaml(text)
    settings = yaml.safe_load(text)
    services = settings["services"]
    for name, service in services.items():
        require(service["read_only"] is True and service["cap_drop"] == ["ALL"], FORM, f"{name}: confinement")
        require(service["security_opt"] == ["no-new-privileges:true"], FORM, f"{name}: privileges")
        require(int(service["user"].split(":")[0]) > 0, FORM, f"{name}: user")
        require("environment" not in service and "env_file" not in service, FORM, f"{name}: variables")
        require("privileged" not in service and "network_mode" not in service and "volumes" not in service, FORM, name)
        for kind in ("networks", "secrets", "configs"):
            for entry in service.get(kind, []):
                require(
                    (entry if isinstance(entry, str) else entry["source"]) in settings[kind], FORM, f"{name}: {entry} is not there"
                )
    application, vestibule = services["application"], services["vestibule"]
    require("ports" not in application and application["networks"] == ["application"], FORM, "the application is reachable")
    require(settings["networks"]["application"] == {"internal": True}, FORM, "the application's network")
    sharing = [name for name, service in services.items() if "application" in service["networks"]]
    require(sorted(sharing) == ["application", "vestibule"], FORM, f"{sharing} reach the application")
    require("secrets" not in application and all(port.startswith("127.0.0.1:") for port in vestibule["ports"]), FORM, "ports")
    given = dict(argument.removeprefix("--").split("=", 1) for argument in vestibule["command"][1:])
    require(given["admin"].startswith("127.0.0.1:"), FORM, "the admin address is reachable")
    require(int(given["grace"]) + 1 < int(vestibule["stop_grace_period"].removesuffix("s")), FORM, "time to stop")
    health = vestibule["healthcheck"]["test"]
    require(health[:2] == ["CMD", "/usr/bin/vestibule"] and health[-1] == f"--admin={given['admin']}", FORM, "the health check")
    require(all("file" in entry for entry in settings["secrets"].values()), FORM, "a secret that is no file")

    toml = (folder / settings["configs"]["configuration"]["file"]).read_text()
    require(not SECRET.search(toml), FORM, "a secret is in the configuration")
    program.run_compose(toml, vestibule["command"], health[2:])
    print("      compose file: by the Compose specification; nothing but Vestibule shares a network with the application")
