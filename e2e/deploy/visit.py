"""A login through a proxy at the development provider, as a browser makes it."""

import contextlib
import http.cookiejar
import re
import subprocess
import urllib.parse
import urllib.request
from html import unescape

from manifests import require
from program import free, wait_for

PERSON = re.compile(r'name="person" value="([^"]+)"')
FORM = re.compile(r'<form method="post" action="([^"]+)"')
# Without `Sec-Fetch-Dest`, so that the login begins with a redirect: nothing here follows the page that keeps a fragment.
VISIT = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
# The client that the development provider knows.
CLIENT = {"client_id": "vestibule-demo", "client_secret": "vestibule-demo-secret"}


@contextlib.contextmanager
def provider(file, folder):
    address = free()
    log = folder / "provider.log"
    with log.open("w") as output:
        running = subprocess.Popen([file, address.rsplit(":", 1)[1]], stdout=output, stderr=output)
        try:
            wait_for("provider", running, address, log)
            yield f"http://{address}/.well-known/openid-configuration"
        finally:
            running.kill()
            running.wait()


def log_in(form, public, page):
    """Opens a page, logs in as the first person, and gives what can send further requests and the body of the page."""
    jar = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy())
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with opener.open(urllib.request.Request(f"http://{public}{page}", headers=VISIT), timeout=20) as response:
        consent, where = response.read().decode(), response.url
    person, action = PERSON.search(consent), FORM.search(consent)
    require(person and action, form, f"no page of the provider: {where} {consent[:300]}")
    sent = urllib.parse.urlencode({"person": unescape(person[1])}).encode()
    request = urllib.request.Request(urllib.parse.urljoin(where, unescape(action[1])), data=sent, headers=VISIT)
    with opener.open(request, timeout=20) as response:
        require(response.url == f"http://{public}{page}", form, f"the login ends at {response.url}")
        return opener, unescape(person[1]), response.read()
