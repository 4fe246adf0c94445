"""An account with a second factor asks for it under /api as on the web."""

from typing import Any

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from rest_framework.test import APIClient

from tests.world import PASSWORD, Person

SECRET = "JBSWY3DPEHPK3PXP"


def login(api: APIClient, code: str | None = None) -> Any:
    body = {"email": "alice@example.com", "password": PASSWORD}
    return api.post("/api/auth/login", body | ({"code": code} if code else {}), format="json")


def now() -> str:
    counter = next(totp.yield_hotp_counters_from_time())
    return str(totp.format_hotp_value(totp.hotp_value(SECRET, counter)))


def test_a_code_of_the_app_opens_and_a_wrong_one_does_not(api: APIClient, alice: Person) -> None:
    assert login(api).status_code == 200
    totp.TOTP.activate(alice.user, SECRET)
    assert login(api).json()["error"]["code"] == "second_factor_required"
    assert login(api, "000000").json()["error"]["code"] == "invalid_second_factor"
    code = now()
    assert login(api, code).status_code == 200
    assert login(api, code).status_code == 401  # each is good for one use


def test_a_recovery_code_opens_once(api: APIClient, alice: Person) -> None:
    totp.TOTP.activate(alice.user, SECRET)
    code = RecoveryCodes.activate(alice.user).get_unused_codes()[0]
    assert login(api, code).status_code == 200
    assert login(api, code).status_code == 401


def test_the_password_is_asked_first(api: APIClient, alice: Person) -> None:
    totp.TOTP.activate(alice.user, SECRET)
    body = {"email": "alice@example.com", "password": "wrong", "code": now()}
    answer = api.post("/api/auth/login", body, format="json")
    assert answer.json()["error"]["code"] == "invalid_credentials"
