"""Envoy with what Envoy Gateway makes of deploy/kubernetes/envoy-gateway: its translation of `extAuth`, and its defaults."""

import json

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
FILTERS = "type.googleapis.com/envoy.extensions.filters.http."


def envoy_configuration(objects, server, folder, public, asked, upstream):
    (policy,) = [item for item in objects if item["kind"] == "SecurityPolicy"]
    routes = {item["metadata"]["name"]: item["spec"]["rules"] for item in objects if item["kind"] == "HTTPRoute"}
    manager = {
        "@type": HCM,
        "stat_prefix": "public",
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
        "http_filters": [
            {"name": "envoy.filters.http.ext_authz", "typed_config": ext_authz(policy["spec"]["extAuth"], asked)},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": FILTERS + "router.v3.Router"}},
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        *translated(routes["vestibule"], "vestibule", asks=False),
                        *translated(routes["application"], "application", asks=True),
                    ],
                }
            ]
        },
    }
    settings = {
        "static_resources": {
            "listeners": [
                {
                    "address": address(public),
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
                            ]
                        }
                    ],
                }
            ],
            "clusters": [cluster("vestibule", asked), cluster("application", upstream)],
        },
    }
    file = folder / "envoy.json"
    file.write_text(json.dumps(settings))
    return [str(server), "-c", str(file), "--disable-hot-restart", "--log-level", "warn", "--concurrency", "1"]


def ext_authz(given, asked):
    def exactly(names):
        return {"patterns": [{"exact": name, "ignore_case": True} for name in names]}

    http = given["http"]
    return {
        "@type": FILTERS + "ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "failure_mode_allow": given["failOpen"],
        "allowed_headers": exactly(given["headersToExtAuth"]),
        "http_service": {
            "path_prefix": http["path"],
            "server_uri": {"uri": f"http://{asked}{http['path']}", "cluster": "vestibule", "timeout": "10s"},
            "authorization_response": {
                "allowed_upstream_headers": exactly(http["headersToBackend"]),
                "allowed_client_headers_on_success": exactly(http["headersToClientOnSuccess"]),
            },
        },
    }


def matched(kind, path):
    return {"Exact": {"path": path}, "PathPrefix": {"prefix": path}, "RegularExpression": {"safe_regex": {"regex": path}}}[kind]


def translated(rules, name, asks):
    disabled = {"envoy.filters.http.ext_authz": {"@type": FILTERS + "ext_authz.v3.ExtAuthzPerRoute", "disabled": True}}
    for rule in rules:
        (modifier,) = rule["filters"]
        for match in rule["matches"]:
            kind, path = match["path"]["type"], match["path"]["value"]
            yield {
                "match": matched(kind, path),
                "route": {"cluster": name, "timeout": "0s", "upgrade_configs": [{"upgrade_type": "websocket"}]},
                "request_headers_to_remove": modifier["requestHeaderModifier"]["remove"],
                **({} if asks else {"typed_per_filter_config": disabled}),
            }


def address(text):
    host, port = text.rsplit(":", 1)
    return {"socket_address": {"address": host, "port_value": int(port)}}


def cluster(name, where):
    return {
        "name": name,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(where)}}]}]},
    }
