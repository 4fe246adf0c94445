"""An account with a second factor asks for it; staff outside the sandbox must have one."""

from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database

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


@pytest.fixture
def staff(alice: Person) -> Person:
    User.objects.filter(pk=alice.user.pk).update(is_staff=True, is_superuser=True)
    alice.user.refresh_from_db()
    return alice


def test_staff_without_a_second_factor_are_sent_to_set_one_up(
    client: Client, staff: Person, settings: Settings
) -> None:
    client.force_login(staff.user)
    assert client.get("/admin/").status_code == 200
    settings.SANDBOX = False
    for path in ("/admin/", "/admin/billing/plan/"):
        chain = client.get(path, follow=True).redirect_chain
        assert chain[-1][0] == "/account/2fa/"
    RecoveryCodes.activate(staff.user)
    assert client.get("/admin/").status_code == 302
    totp.TOTP.activate(staff.user, SECRET)
    assert client.get("/admin/").status_code == 200


def test_a_customer_is_not_let_in_by_a_second_factor(
    client: Client, alice: Person, settings: Settings
) -> None:
    settings.SANDBOX = False
    totp.TOTP.activate(alice.user, SECRET)
    client.force_login(alice.user)
    assert client.get("/admin/", follow=True).status_code == 403


def test_staff_credit_nobody_without_a_second_factor(staff: Person, settings: Settings) -> None:
    staff.user.user_permissions.add(Permission.objects.get(codename="adjust_balance"))
    settings.SANDBOX = False
    body = {"email": staff.user.email, "amount": "5", "reason": "thanks"}

    def credit() -> Any:
        headers = {"Idempotency-Key": "k"}
        return staff.client().post("/api/billing/topup", body, format="json", headers=headers)

    assert credit().json()["error"]["code"] == "second_factor_required"
    totp.TOTP.activate(staff.user, SECRET)
    assert credit().status_code == 201
