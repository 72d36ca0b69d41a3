"""An OpenID provider: Django with django-allauth as their documentation sets them up, on loopback.

Reads one JSON object from stdin: `folder` for the database, `private_key` in PEM, `settings` of Django beside the ones below,
`client` and `users`. Its address is in what it prints once it listens.
"""

import json
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.urls import include, path

given = json.load(sys.stdin)

# https://docs.allauth.org/en/latest/installation/quickstart.html and .../idp/openid-connect/installation.html
settings.configure(
    SECRET_KEY="a key that is no secret, but long enough for Django",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(given["folder"]) / "provider.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "allauth",
        "allauth.account",
        "allauth.idp.oidc",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ],
            },
        },
    ],
    AUTHENTICATION_BACKENDS=[
        "django.contrib.auth.backends.ModelBackend",
        "allauth.account.auth_backends.AuthenticationBackend",
    ],
    # As Django's documentation has it for tests: the usual one takes a second for each password and client secret.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    IDP_OIDC_PRIVATE_KEY=given["private_key"],
    **given["settings"],
)
django.setup()

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("", include("allauth.idp.urls")),
]


def fill():
    from allauth.account.models import EmailAddress
    from allauth.idp.oidc.models import Client
    from django.contrib.auth.models import User

    for user in given["users"]:
        account = User.objects.create_user(**user)
        EmailAddress.objects.create(user=account, email=account.email, primary=True, verified=True)
    client = given["client"]
    application = Client(id=client["id"], name="Application", scopes="openid\nprofile\nemail")
    application.set_redirect_uris(client["redirect_uris"])
    application.set_secret(client["secret"])
    application.save()


call_command("migrate", verbosity=0)
fill()
call_command("runserver", "127.0.0.1:0", use_reloader=False)
