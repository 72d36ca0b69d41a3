"""nginx with the snippets of deploy/kubernetes/ingress-nginx, in a short form of what ingress-nginx generates around them."""

import textwrap

FRAME = """
daemon off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    # Any upgrade passes.
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    proxy_headers_hash_max_size 512;
    proxy_headers_hash_bucket_size 64;
    large_client_header_buffers 8 64k;
    # The controller chooses the Service by a variable, which the server sets before each location does.
    map $proxy_upstream_name $chosen {{ default 127.0.0.1:9; NAMESPACE-application-8080 {upstream}; }}
    server {{
        listen {public};
        set $proxy_upstream_name -;
{server_snippet}
{direct}
        location / {{
            set $proxy_upstream_name NAMESPACE-application-8080;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Request-ID $request_id;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Scheme $scheme;
            proxy_set_header X-Scheme $scheme;
            proxy_set_header Proxy "";
{configuration_snippet}
            proxy_pass http://$chosen;
        }}
    }}
}}
"""
# Of a module that Debian's nginx lacks: left out here, with the one header (X-Original-Forwarded-For) that it is there for.
FOREIGN = "more_clear_input_headers"
DIRECT = """        location = {path} {{
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_pass http://{asked};
        }}"""


def nginx_configuration(objects, server, folder, public, asked, upstream):
    ingresses = {item["metadata"]["name"]: item for item in objects if item["kind"] == "Ingress"}
    given = {name.split("/")[1]: text for name, text in ingresses["application"]["metadata"]["annotations"].items()}
    service = "http://vestibule.NAMESPACE.svc.cluster.local;"
    assert service in given["server-snippet"]
    paths = [path["path"] for path in ingresses["vestibule"]["spec"]["rules"][0]["http"]["paths"]]
    snippet = [line for line in given["configuration-snippet"].splitlines() if not line.startswith(FOREIGN)]
    text = FRAME.format(
        public=public,
        upstream=upstream,
        server_snippet=textwrap.indent(given["server-snippet"].replace(service, f"http://{asked};"), " " * 8),
        direct="\n".join(DIRECT.format(path=path, asked=asked) for path in paths),
        configuration_snippet=textwrap.indent("\n".join(snippet), " " * 12),
    )
    (folder / "nginx.conf").write_text(text)
    return [str(server), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
