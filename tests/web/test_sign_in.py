"""Ways to sign in beside a password: an app, a passkey, another service, if it is configured."""

import os
import subprocess
import sys

import pytest
from allauth.mfa.totp.internal import auth as totp
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.test import Client

from tests.web.test_pages import text
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database

SECRET = "JBSWY3DPEHPK3PXP"
LOGIN = {"login": "alice@example.com", "password": PASSWORD}


def test_an_app_is_set_up_and_then_asked_for(client: Client, alice: Person) -> None:
    client.post("/account/login/", LOGIN)
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    assert "data:image/svg" in text(client.get("/account/2fa/totp/activate/"))  # to be scanned
    totp.TOTP.activate(alice.user, SECRET)
    client.post("/account/logout/")
    assert client.post("/account/login/", LOGIN)["Location"] == "/account/2fa/authenticate/"
    assert client.get("/account").status_code == 302
    counter = next(totp.yield_hotp_counters_from_time())
    code = totp.format_hotp_value(totp.hotp_value(SECRET, counter))
    assert client.post("/account/2fa/authenticate/", {"code": code})["Location"] == "/overview"


def test_a_passkey_is_offered_and_can_be_made(client: Client, alice: Person) -> None:
    assert "passkey_login" in text(client.get("/account/login/"))
    client.post("/account/login/", LOGIN)
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    assert client.get("/account/2fa/webauthn/add/").status_code == 200


def test_sessions_are_listed_and_ended(client: Client, alice: Person) -> None:
    elsewhere = Client()
    for browser in (elsewhere, client):
        browser.post("/account/login/", LOGIN)
        browser.get("/account/sessions/")
    assert UserSession.objects.filter(user=alice.user).count() == 2
    client.post("/account/sessions/")
    assert client.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 302


@pytest.mark.parametrize("name", ["GITHUB", "GOOGLE"])
def test_another_service_is_there_once_it_is_configured(name: str) -> None:
    other = {"GITHUB": "google", "GOOGLE": "github"}[name]
    ask = (
        "import django; django.setup(); from django.urls import reverse, resolve, Resolver404\n"
        f"print(reverse('{name.lower()}_login'))\n"
        f"try: resolve('/account/{other}/login/')\n"
        "except Resolver404: print('none')\n"
    )
    environment = os.environ | {f"{name}_CLIENT_ID": "id", f"{name}_CLIENT_SECRET": "secret"}
    done = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=settings.BASE_DIR,
        env=environment | {"DJANGO_SETTINGS_MODULE": "hontoni.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [f"/account/{name.lower()}/login/", "none"]
