"""Streamlit's cookies, made and read by the libraries that Streamlit uses: itsdangerous and tornado, as they come.

A command is a JSON object on standard input, the answer one on standard output:
{"do": "make", "form", "secret", "name", "value", "time"} gives {"cookie"}, as if it were made at `time` (Unix seconds).
{"do": "read", "form", "secret", "name", "cookie"} gives {"value", "time"}, or {"value": null} for what the library refuses.
"""

import json
import sys
from unittest import mock

ANY_AGE_DAYS = 36500


def make_itsdangerous(secret, name, value, at):
    from itsdangerous import URLSafeTimedSerializer

    with mock.patch("itsdangerous.timed.time.time", return_value=at):
        return URLSafeTimedSerializer(secret, salt=name).dumps(value)


def read_itsdangerous(secret, name, cookie):
    from itsdangerous import BadSignature, URLSafeTimedSerializer

    try:
        value, at = URLSafeTimedSerializer(secret, salt=name).loads(cookie, return_timestamp=True)
    except BadSignature:
        return None, None
    return value, int(at.timestamp())


def make_tornado(secret, name, value, at):
    from tornado.web import create_signed_value

    return create_signed_value(secret, name, value, version=2, clock=lambda: at).decode()


def read_tornado(secret, name, cookie):
    from tornado.web import decode_signed_value

    value = decode_signed_value(secret, name, cookie, max_age_days=ANY_AGE_DAYS)
    at = int(cookie.split("|")[2].partition(":")[2])
    return (value.decode(), at) if value is not None else (None, None)


command = json.load(sys.stdin)
action, form = command.pop("do"), command.pop("form")
if action == "make":
    make = {"itsdangerous": make_itsdangerous, "tornado": make_tornado}[form]
    answer = {"cookie": make(command["secret"], command["name"], command["value"], command["time"])}
else:
    read = {"itsdangerous": read_itsdangerous, "tornado": read_tornado}[form]
    value, at = read(command["secret"], command["name"], command["cookie"])
    answer = {"value": value, "time": at}
json.dump(answer, sys.stdout)
