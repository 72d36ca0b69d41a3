"""Django: the user from the header of Vestibule."""

from urllib.parse import unquote

from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.middleware import RemoteUserMiddleware


class VestibuleMiddleware(RemoteUserMiddleware):
    header = "HTTP_X_FORWARDED_USER"


class VestibuleBackend(RemoteUserBackend):
    def clean_username(self, username):
        return unquote(username)
