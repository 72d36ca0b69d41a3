"""Django: a page below the base path, with the user in the database. `python django_app.py PORT BASE`."""

import sys
from wsgiref.simple_server import make_server

import django
from django.conf import settings

port, base = int(sys.argv[1]), sys.argv[2]

settings.configure(
    SECRET_KEY="a key for tests only",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "django.sqlite3"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django_user.VestibuleMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["django_user.VestibuleBackend"],
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.urls import path  # noqa: E402


def first(request):
    user = request.user.get_username()
    is_stored = User.objects.filter(username=user).exists()
    return HttpResponse(f"Hello {user}, {request.method}, stored: {is_stored}, token={get_token(request)};")


urlpatterns = [path(f"{base}/".removeprefix("/"), first)]
call_command("migrate", verbosity=0)
make_server("127.0.0.1", port, get_wsgi_application()).serve_forever()
