"""Flask: reads the user from the headers. `python flask_app.py PORT BASE`."""

import sys
from urllib.parse import unquote

from flask import Blueprint, Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

port, base = int(sys.argv[1]), sys.argv[2]

pages = Blueprint("pages", __name__, url_prefix=base)


@pages.get("/")
def first():
    user = unquote(request.headers["X-Forwarded-User"])
    return f"Hello {user}. You requested {request.url} from {request.remote_addr}."


app = Flask(__name__, static_url_path=f"{base}/static")
app.register_blueprint(pages)
# Vestibule is one proxy, and writes all of these itself.
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_port=1)
app.run("127.0.0.1", port)
