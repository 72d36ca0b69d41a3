"""Panel: the user of the session."""

from urllib.parse import unquote

import panel as pn

pn.panel(f"Hello {unquote(pn.state.headers['X-Forwarded-User'])}").servable()
