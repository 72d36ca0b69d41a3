"""Jupyter: the user from the header, and no token, since Vestibule has the login."""

from urllib.parse import unquote

from jupyter_server.auth import IdentityProvider, User


class VestibuleIdentityProvider(IdentityProvider):
    def get_user(self, handler):
        user = handler.request.headers.get("X-Forwarded-User")
        return User(username=unquote(user)) if user else None


c = get_config()  # noqa: F821
c.ServerApp.identity_provider_class = VestibuleIdentityProvider
c.IdentityProvider.token = ""
c.ServerApp.trust_xheaders = True
c.ServerApp.allow_remote_access = True
