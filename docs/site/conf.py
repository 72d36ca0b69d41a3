"""The site of the documentation, which `make docs` builds from the pages as they are in the repository.

The source folder is the repository itself. A link between two files therefore works there and in the site alike.
"""

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What the reader wants to do, and the pages for it, in the order in which they are read. A page that is missing here and in BELOW is a
# warning, and warnings are errors.
NAVIGATION = {
    "Start": ["README", "docs/install", "docs/build"],
    "Guides": [
        "docs/guides/protect",
        "docs/rules",
        "docs/identity",
        "docs/guides/several-providers",
        "docs/secrets",
        "docs/behind-a-proxy",
        "docs/guides/logout",
        "docs/guides/scripts",
        "docs/guides/rotate-the-secret",
        "docs/guides/troubleshoot",
        "docs/pages",
        "docs/guides/portal",
        "docs/guides/service-workers",
        "docs/guides/installed-apps",
        "docs/guides/frames",
        "docs/guides/fragments",
    ],
    "Move": ["docs/from-oauth2-proxy", "docs/from-streamlit"],
    "Providers": ["docs/providers"],
    "Applications": ["docs/streamlit", "docs/applications"],
    "Hosts": ["docs/hosts", "docs/serve", "docs/deploy", "docs/authz", "docs/wasi-http", "docs/hosts/library", "docs/hosts/pingora", "docs/hosts/steps", "packages/python/README", "packages/npm/README"],
    "Operate": ["docs/log", "docs/audit", "docs/metrics", "docs/operate/several-nodes", "docs/store", "docs/refresh", "docs/cookies"],
    "Reference": ["docs/auth", "docs/settings", "docs/routes"],
    "Explain": ["docs/explain/sessions", "docs/explain/request-reading", "docs/explain/threat-model", "docs/explain/attacks", "ARCHITECTURE", "SECURITY"],
    "Develop": ["CONTRIBUTING", "RELEASING", "CHANGELOG", "fuzz/README"],
    "Examples": ["examples/README"],
}
# Pages below another one, which lists them, under short names.
BELOW = {
    "docs/providers": {
        "Google": "docs/providers/google",
        "Microsoft Entra": "docs/providers/entra",
        "Okta": "docs/providers/okta",
        "Auth0": "docs/providers/auth0",
        "Keycloak": "docs/providers/keycloak",
        "Amazon Cognito": "docs/providers/cognito",
        "GitLab": "docs/providers/gitlab",
        "ZITADEL": "docs/providers/zitadel",
        "authentik": "docs/providers/authentik",
        "Logto": "docs/providers/logto",
        "GitHub": "docs/providers/github",
        "Any other provider": "docs/providers/other",
    },
    "docs/applications": {
        "Jupyter": "docs/applications/jupyter",
        "Gradio": "docs/applications/gradio",
        "Dash": "docs/applications/dash",
        "Panel": "docs/applications/panel",
        "marimo": "docs/applications/marimo",
        "MLflow": "docs/applications/mlflow",
        "Grafana": "docs/applications/grafana",
        "Django": "docs/applications/django",
        "Flask": "docs/applications/flask",
        "FastAPI": "docs/applications/fastapi",
        "pgAdmin": "docs/applications/pgadmin",
        "Prometheus": "docs/applications/prometheus",
        "RabbitMQ": "docs/applications/rabbitmq",
        "Node-RED": "docs/applications/node-red",
        "Vite": "docs/applications/vite",
        "noVNC": "docs/applications/novnc",
    },
    "docs/deploy": {
        "Compose": "docs/hosts/compose",
        "Kubernetes": "docs/hosts/kubernetes",
        "Sidecar": "docs/hosts/sidecar",
        "Helm": "docs/hosts/helm",
    },
    "docs/authz": {
        "nginx": "docs/hosts/nginx",
        "Envoy": "docs/hosts/envoy",
        "Traefik": "docs/hosts/traefik",
        "Caddy": "docs/hosts/caddy",
        "Envoy Gateway": "docs/hosts/envoy-gateway",
        "ingress-nginx": "docs/hosts/ingress-nginx",
    },
    "docs/wasi-http": {
        "wasmtime serve": "docs/hosts/wasmtime-serve",
        "jco serve": "docs/hosts/jco",
        "Spin": "docs/hosts/spin",
    },
}

project = "Vestibule"
html_title = "Vestibule"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "examples/README.md", "examples/**/README.md", "fuzz/README.md", "packages/python/README.md", "packages/npm/README.md"]
exclude_patterns = ["**/node_modules", "target"]

# Links to headings, as GitHub makes their anchors.
myst_heading_anchors = 4
# Blocks are in several languages, and most are TOML with samples that do not parse.
highlight_language = "none"

html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["style.css"]
html_css_files = ["style.css"]

# A page or a folder of the repository that is no page of the site: the file itself is copied.
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")


def prepare(app, docname, content):
    """Leads links to a folder of examples to its page, and adds the navigation to the first page."""
    here = (ROOT / docname).parent

    def lead(link):
        target, anchor = link.group(1), link.group(2) or ""
        if (here / target).resolve() == ROOT / "docs":
            return f"{Path(os.path.relpath(ROOT, here)).as_posix()}/README.md#documentation"
        if (here / target / "README.md").is_file():
            target = f"{target.rstrip('/')}/README.md"
        return target + anchor

    content[0] = LINK.sub(lead, content[0])
    if docname == root_doc:
        for title, pages in NAVIGATION.items():
            content[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n"
            content[0] += "".join("self\n" if page == root_doc else f"/{page}\n" for page in pages) + "```\n"
    below = [f"{name} </{page}>" for name, page in BELOW.get(docname, {}).items()]
    if docname == "examples/README":
        below = sorted(f"/{page}" for page in app.env.found_docs if page.startswith("examples/") and page != docname)
    if below:
        content[0] += "\n```{toctree}\n:hidden:\n\n" + "\n".join(below) + "\n```\n"


def finish(app, failure):
    """The first page under the name that servers look for."""
    if failure is None:
        out = Path(app.outdir)
        (out / "index.html").write_bytes((out / f"{root_doc}.html").read_bytes())


def setup(app):
    app.connect("source-read", prepare)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
