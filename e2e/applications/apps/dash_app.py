"""Dash: a callback that reads the user. `python dash_app.py PORT BASE`."""

import sys
from urllib.parse import unquote

from dash import Dash, Input, Output, callback, dcc, html
from flask import request

port, base = int(sys.argv[1]), sys.argv[2]

app = Dash(__name__, url_base_pathname=f"{base}/")
app.layout = [dcc.Input(id="number", type="number", value=20), html.P(id="result")]


@callback(Output("result", "children"), Input("number", "value"))
def double(number):
    return f"{unquote(request.headers['X-Forwarded-User'])}: {2 * number}"


app.run(host="127.0.0.1", port=port)
