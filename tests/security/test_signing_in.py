"""Guesses lock nobody out, hashing starves nobody; another way to sign in ends other sessions."""

import os
import sys
import threading
from typing import Any

import pytest
from allauth.core import context
from allauth.mfa.totp.internal import auth as totp
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base import Provider
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from accounts.sign_in import hashing, tokens
from tests.world import PASSWORD, Person, at_once

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

EMAIL = "alice@example.com"
HOME, ELSEWHERE, AWAY = "198.51.100.1", "203.0.113.9", "192.0.2.44"


def login(password: str, address: str) -> int:
    body = {"email": EMAIL, "password": password}
    answer = APIClient(REMOTE_ADDR=address).post("/api/auth/login", body, format="json")
    return int(answer.status_code)


def enter(browser: Client, password: str, address: str) -> bool:
    browser.post("/account/login/", {"login": EMAIL, "password": password}, REMOTE_ADDR=address)
    return browser.get("/account").status_code == 200


# -- Guessing ------------------------------------------------------------------------------------


def test_guesses_from_elsewhere_do_not_lock_the_owner_out_of_the_api(alice: Person) -> None:
    assert login(PASSWORD, HOME) == 200
    guesses = [login(f"guess {n}", ELSEWHERE) for n in range(11)]
    assert guesses[-2:] == [429] * 2
    assert login(PASSWORD, AWAY) == 429  # whom nobody knows
    assert login(PASSWORD, HOME) == 200


def test_where_the_owner_is_known_guessing_has_an_end_too(alice: Person) -> None:
    assert login(PASSWORD, HOME) == 200
    assert [login("wrong guess", HOME) for _ in range(11)] == [401] * 10 + [429]


def test_a_browser_is_known_wherever_it_goes(alice: Person) -> None:
    mine, thief = Client(), Client()
    assert enter(mine, PASSWORD, HOME)
    mine.post("/account/logout/")
    for n in range(6):
        assert not enter(thief, f"guess {n}", ELSEWHERE)
    assert not enter(Client(), PASSWORD, AWAY)
    assert enter(mine, PASSWORD, AWAY)


def test_the_cookie_of_one_account_is_none_of_another(alice: Person, bob: Person) -> None:
    browser = Client()
    browser.post("/account/login/", {"login": bob.user.email, "password": PASSWORD})
    browser.post("/account/logout/")
    for n in range(6):
        enter(Client(), f"guess {n}", ELSEWHERE)
    assert not enter(browser, PASSWORD, AWAY)


# -- Hashing -------------------------------------------------------------------------------------


@pytest.fixture
def real(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = [
        "accounts.sign_in.hashing.Argon2",
        "accounts.sign_in.hashing.PBKDF2",
    ]


def test_one_password_is_hashed_at_a_time_and_gives_way(alice: Person) -> None:
    running, most = 0, 0
    niceness: list[int] = []

    def hashed() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threading.Event().wait(0.01)
        niceness.append(os.getpriority(os.PRIO_PROCESS, 0))
        running -= 1

    at_once(lambda: hashing.in_turn(hashed), times=8)
    assert (most, len(niceness)) == (1, 8)
    if sys.platform == "linux":
        assert min(niceness) >= os.getpriority(os.PRIO_PROCESS, os.getpid()) + 10


def test_too_many_at_once_are_told_to_come_back(
    real: None, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = threading.BoundedSemaphore(1)
    full.acquire()
    monkeypatch.setattr(hashing, "_room", full)
    body = {"email": EMAIL, "password": PASSWORD}
    answer = APIClient().post("/api/auth/login", body, format="json")
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    page = Client().post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    assert (page.status_code, page["Retry-After"]) == (503, "2")
    assert "Not right now" in page.content.decode()


def test_an_old_hash_opens_and_is_made_anew(real: None, alice: Person) -> None:
    old = PBKDF2PasswordHasher().encode(PASSWORD, "some salt of before", 1000)
    User.objects.filter(pk=alice.user.pk).update(password=old)
    assert login("wrong guess", HOME) == 401
    assert login(PASSWORD, HOME) == 200
    alice.user.refresh_from_db()
    assert alice.user.password.startswith("argon2$argon2id$")
    assert login(PASSWORD, HOME) == 200


# -- What ends the other sessions ----------------------------------------------------------------


@pytest.fixture
def here(alice: Person) -> Client:
    browser = Client()
    assert enter(browser, PASSWORD, HOME)
    return browser


@pytest.fixture
def elsewhere(alice: Person) -> Any:
    """Whether somebody else's browser and session on /api go on."""
    browser, api = Client(), tokens.issue(alice.user)
    assert enter(browser, PASSWORD, ELSEWHERE)
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {api.access_token}")
    body = {"refresh_token": api.refresh_token}

    def go_on() -> list[bool]:
        return [
            browser.get("/account").status_code == 200,
            client.get("/api/auth/me").status_code == 200,
            APIClient().post("/api/auth/refresh", body, format="json").status_code == 200,
        ]

    assert go_on()[:2] == [True, True]
    return go_on


@pytest.mark.django_db(transaction=True)
def test_a_second_factor_ends_them_and_its_first_code_is_used_up(
    here: Client, elsewhere: Any
) -> None:
    here.post("/account/reauthenticate/", {"password": PASSWORD})
    here.get("/account/2fa/totp/activate/")
    secret = here.session[totp.SECRET_SESSION_KEY]
    counter = next(totp.yield_hotp_counters_from_time())
    code = totp.format_hotp_value(totp.hotp_value(secret, counter))
    done = here.post("/account/2fa/totp/activate/", {"code": code})
    assert done.status_code == 302
    assert elsewhere() == [False, False, False]
    assert here.get("/account").status_code == 200
    body = {"email": EMAIL, "password": PASSWORD, "code": code}
    again = APIClient().post("/api/auth/login", body, format="json")
    assert again.json()["error"]["code"] == "invalid_second_factor"


def test_another_password_ends_them(here: Client, elsewhere: Any) -> None:
    new = {"oldpassword": PASSWORD, "password1": "yet another one", "password2": "yet another one"}
    assert here.post("/account/password/change/", new).status_code == 302
    assert elsewhere() == [False, False, False]
    assert here.get("/account").status_code == 200


def test_another_service_ends_them(
    here: Client, elsewhere: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SocialAccount, "get_provider", lambda _: Provider)
    request = here.get("/account").wsgi_request
    with context.request_context(request):
        account = SocialAccount(provider="google", uid="1")
        SocialLogin(user=alice.user, account=account).connect(request, request.user)
    request.session.save()
    here.cookies["sessionid"] = str(request.session.session_key)
    assert elsewhere() == [False, False, False]
    assert here.get("/account").status_code == 200
