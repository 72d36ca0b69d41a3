"""The site of the documentation, which `make docs` builds from the pages as they are in the repository.

The source folder is the repository itself. A link between two files therefore works there and in the site alike.
"""

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What the reader wants to do, and the pages for it, in the order in which they are read. A page that is missing here is a
# warning, and warnings are errors.
NAVIGATION = {
    "Start": ["README", "docs/install", "docs/build"],
    "Guides": [
        "docs/auth",
        "docs/rules",
        "docs/pages",
        "docs/secrets",
        "docs/from-oauth2-proxy",
        "docs/from-streamlit",
    ],
    "Providers": ["docs/providers"],
    "Applications": ["docs/applications", "docs/streamlit", "docs/browsers", "docs/identity"],
    "Hosts": ["docs/serve", "docs/behind-a-proxy", "docs/authz", "docs/wasi-http", "docs/deploy", "docs/embed", "docs/hosts"],
    "Operate": ["docs/store", "docs/log", "docs/audit", "docs/metrics", "docs/cookies"],
    "Reference": ["docs/settings", "docs/routes"],
    "Explain": ["ARCHITECTURE", "SECURITY"],
    "Develop": ["CONTRIBUTING", "RELEASING", "CHANGELOG", "fuzz/README"],
    "Examples": ["examples/README"],
}

project = "Vestibule"
html_title = "Vestibule"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "examples/README.md", "examples/**/README.md", "fuzz/README.md"]
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
    if docname == "examples/README":
        below = sorted(page for page in app.env.found_docs if page.startswith("examples/") and page != docname)
        content[0] += "\n```{toctree}\n:hidden:\n\n" + "".join(f"/{page}\n" for page in below) + "```\n"


def finish(app, failure):
    """The first page under the name that servers look for."""
    if failure is None:
        out = Path(app.outdir)
        (out / "index.html").write_bytes((out / f"{root_doc}.html").read_bytes())


def setup(app):
    app.connect("source-read", prepare)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
