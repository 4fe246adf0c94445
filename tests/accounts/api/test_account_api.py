from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.keys import api_keys
from accounts.models import ApiKey, User
from tests.world import PASSWORD, Person, at_once

REGISTER = "/api/auth/register"
LOGIN = "/api/auth/login"
NEWCOMER = {"email": "you@example.com", "password": PASSWORD, "name": "You"}


def _post(client: APIClient, path: str, **body: Any) -> Any:
    return client.post(path, body, format="json")


def _error(answer: Any) -> tuple[int, str, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["type"], error["code"], error["param"]


# -- Sessions ------------------------------------------------------------------------------------


def test_a_newcomer_registers_and_makes_a_key(db: None, api: APIClient) -> None:
    answer = _post(api, REGISTER, **NEWCOMER)
    body = answer.json()
    assert answer.status_code == 201
    assert body["user"]["email"] == "you@example.com"
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 1800)
    assert PASSWORD not in answer.content.decode()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access_token']}")
    assert api.get("/api/auth/me").json() == body["user"]
    made = _post(api, "/api/keys", name="my-key")
    assert made.status_code == 201
    assert api_keys.well_formed(made.json()["key"])


def test_an_address_is_registered_once_in_whatever_case(alice: Person, api: APIClient) -> None:
    answer = _post(api, REGISTER, **{**NEWCOMER, "email": "Alice@Example.COM"})
    assert _error(answer) == (409, "conflict_error", "email_taken", "email")
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_racing_registrations_one_wins() -> None:
    got = at_once(lambda: _post(APIClient(), REGISTER, **NEWCOMER).status_code, times=4)
    assert sorted(got) == [201, 409, 409, 409]


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"email": "you"}, "email"),
        ({"email": "you@example.com\x00"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "password1234"}, "password"),
        ({"password": "you@example.com"}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"name": "x" * 201}, "name"),
        ({"name": {}}, "name"),
    ],
)
def test_it_names_the_field_at_fault(
    db: None, api: APIClient, wrong: dict[str, Any], param: str
) -> None:
    answer = _post(api, REGISTER, **{**NEWCOMER, **wrong})
    assert _error(answer) == (400, "invalid_request_error", "invalid_request", param)
    assert not User.objects.exists()


def test_one_logs_in_in_whatever_case(alice: Person, api: APIClient) -> None:
    answer = _post(api, LOGIN, email="ALICE@example.com", password=PASSWORD)
    assert answer.status_code == 200
    assert answer.json()["user"]["id"] == alice.user.pk
    assert User.objects.get(pk=alice.user.pk).last_login is not None


class CountingHasher(MD5PasswordHasher):
    count = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).count += 1
        return super().encode(password, salt)


@pytest.fixture
def hasher(settings: Settings) -> Iterator[type[CountingHasher]]:
    settings.PASSWORD_HASHERS = ["tests.accounts.api.test_account_api.CountingHasher"]
    yield CountingHasher


def test_unknown_address_and_wrong_password_get_the_same_answer_for_the_same_work(
    hasher: type[CountingHasher], alice: Person, bob: Person, api: APIClient
) -> None:
    User.objects.filter(pk=bob.user.pk).update(is_active=False)
    answers, work = [], []
    for email, password in (
        ("alice@example.com", "wrong"),
        ("nobody@example.com", "wrong"),
        ("bob@example.com", PASSWORD),
    ):
        hasher.count = 0
        answer = _post(api, LOGIN, email=email, password=password)
        answers.append((answer.status_code, answer.json()["error"]))
        work.append(hasher.count)
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 401
    assert work == [1, 1, 1]


def test_refresh_goes_on_and_reuse_ends_the_session(alice: Person, api: APIClient) -> None:
    first = _post(api, LOGIN, email="alice@example.com", password=PASSWORD).json()
    path = "/api/auth/refresh"
    second = _post(api, path, refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert _post(api, path, refresh_token=first["refresh_token"]).status_code == 401
    assert _post(api, path, refresh_token=second["refresh_token"]).status_code == 401
    assert _error(_post(api, path, refresh_token="rt-gw-x"))[2] == "invalid_token"


@pytest.mark.parametrize("everywhere", [False, True])
def test_logout_ends_this_session_or_all(
    alice: Person, bob: Person, api: APIClient, everywhere: bool
) -> None:
    here, elsewhere, bobs = alice.client(), alice.client(), bob.client()
    session = _post(api, LOGIN, email="alice@example.com", password=PASSWORD).json()
    here.credentials(HTTP_AUTHORIZATION=f"Bearer {session['access_token']}")
    body = {"refresh_token": session["refresh_token"], "everywhere": everywhere}
    for _ in range(2):
        assert _post(api, "/api/auth/logout", **body).status_code == 204
    assert here.get("/api/auth/me").status_code == 401
    assert elsewhere.get("/api/auth/me").status_code == (401 if everywhere else 200)
    assert bobs.get("/api/auth/me").status_code == 200


def test_an_api_key_opens_what_its_scopes_do_and_no_more(alice: Person, api: APIClient) -> None:
    answer = api.get("/api/keys", HTTP_AUTHORIZATION=f"Bearer {alice.raw}")
    assert _error(answer) == (403, "permission_error", "scope_missing", None)
    assert "lacks the scope keys:manage" in answer.json()["error"]["message"]
    assert alice.raw not in answer.content.decode()
    assert api.get("/api/keys", HTTP_X_API_KEY=alice.raw).status_code == 401


# -- Keys ----------------------------------------------------------------------------------------


def test_a_key_is_shown_once(alice: Person) -> None:
    client = alice.client()
    soon = timezone.now() + timedelta(days=1)
    made = _post(client, "/api/keys", name="ci", expires_at=soon.isoformat()).json()
    raw = made.pop("key")
    shown = client.get(f"/api/keys/{made['id']}")
    assert shown.json() == made
    listed = client.get("/api/keys")
    assert listed.json()["results"][0] == made
    assert raw not in shown.content.decode() + listed.content.decode()
    assert (made["status"], made["prefix"], made["last4"]) == ("active", raw[:10], raw[-4:])
    found = api_keys.find(api_keys.digest(raw))
    assert found is not None and found.expires_at == soon


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "expires_at": "soon"}, "expires_at"),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
    ],
)
def test_it_refuses_an_odd_key(alice: Person, body: dict[str, Any], param: str) -> None:
    assert _error(_post(alice.client(), "/api/keys", **body))[::3] == (400, param)
    assert ApiKey.objects.count() == 1


def test_the_list_holds_own_keys_newest_first_in_pages(alice: Person, bob: Person) -> None:
    for name in ("two", "three"):
        api_keys.mint(alice.user, name)
    client = alice.client()
    page = client.get("/api/keys?limit=2").json()
    assert [key["name"] for key in page["results"]] == ["three", "two"]
    api_keys.mint(alice.user, "four")  # shifts no page
    page = client.get(page["next"]).json()
    assert [key["name"] for key in page["results"]] == ["laptop"]
    assert page["next"] is None


def test_the_cap_is_told(alice: Person) -> None:
    User.objects.filter(pk=alice.user.pk).update(key_cap=1)
    answer = _post(alice.client(), "/api/keys", name="two")
    assert _error(answer) == (403, "permission_error", "key_limit_reached", None)
    assert "allows 1 active" in answer.json()["error"]["message"]


def test_only_the_name_of_a_key_can_be_changed(alice: Person) -> None:
    client = alice.client()
    before = client.get(f"/api/keys/{alice.key.pk}").json()
    answer = client.patch(
        f"/api/keys/{alice.key.pk}",
        {"name": "desktop", "expires_at": None, "last4": "xxxx", "status": "revoked"},
        format="json",
    )
    assert answer.status_code == 200
    assert answer.json() == {**before, "name": "desktop"}
    assert (
        client.patch(f"/api/keys/{alice.key.pk}", {"name": ""}, format="json").status_code == 400
    )


def test_revoking_is_for_good_and_twice_is_once(alice: Person) -> None:
    client = alice.client()
    for _ in range(2):
        assert client.delete(f"/api/keys/{alice.key.pk}").status_code == 204
    assert client.get(f"/api/keys/{alice.key.pk}").json()["status"] == "revoked"
    found = api_keys.find(api_keys.digest(alice.raw))
    assert found is not None and found.status(timezone.now()) == "revoked"


def test_rotation_shows_the_successor_once(alice: Person) -> None:
    client, path = alice.client(), f"/api/keys/{alice.key.pk}"
    answer = _post(client, f"{path}/rotate", overlap_seconds=60)
    assert answer.status_code == 201
    assert api_keys.find(api_keys.digest(answer.json()["key"])) is not None
    old = client.get(path).json()
    assert (old["status"], old["replaced_by"]) == ("active", answer.json()["id"])
    assert _error(_post(client, f"{path}/rotate", overlap_seconds=60))[2] == "key_not_rotatable"


@pytest.mark.parametrize("overlap", [-1, 30 * 86400 + 1, 10**18, "a day", None])
def test_rotation_refuses_an_odd_overlap(alice: Person, overlap: Any) -> None:
    answer = _post(alice.client(), f"/api/keys/{alice.key.pk}/rotate", overlap_seconds=overlap)
    assert _error(answer)[::3] == (400, "overlap_seconds")
    assert ApiKey.objects.count() == 1


# -- Throttles -----------------------------------------------------------------------------------


def _attempt(api: APIClient, email: str, password: str = "wrong", ip: str = "192.0.2.1") -> Any:
    body = {"email": email, "password": password}
    return api.post(LOGIN, body, format="json", REMOTE_ADDR=ip)


def test_the_password_of_an_account_cannot_be_guessed(
    alice: Person, bob: Person, api: APIClient
) -> None:
    for each in range(10):
        ip = f"192.0.2.{each}"
        assert _attempt(api, "alice@example.com", ip=ip).status_code == 401
    answer = _attempt(api, "ALICE@example.com ", PASSWORD, ip="192.0.2.99")
    assert _error(answer) == (429, "rate_limit_error", "rate_limit_exceeded", None)
    assert 0 < int(answer["Retry-After"]) <= 300
    assert _attempt(api, "bob@example.com", PASSWORD).status_code == 200


def test_an_unknown_address_is_throttled_like_any_other(db: None, api: APIClient) -> None:
    codes = [_attempt(api, "nobody@example.com").status_code for _ in range(11)]
    assert codes == [401] * 10 + [429]


def test_one_password_cannot_be_tried_on_many_accounts(alice: Person, api: APIClient) -> None:
    for each in range(100):
        assert _attempt(api, f"{each}@example.com").status_code == 401
    assert _attempt(api, "alice@example.com", PASSWORD).status_code == 429
    assert _attempt(api, "alice@example.com", PASSWORD, ip="192.0.2.2").status_code == 200


def test_accounts_are_not_opened_by_the_dozen(db: None, api: APIClient) -> None:
    for each in range(100):
        assert _post(api, REGISTER, **{**NEWCOMER, "email": str(each)}).status_code == 400
    answer = _post(api, REGISTER, **NEWCOMER)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 3600
    assert not User.objects.exists()


def test_a_forwarded_address_is_believed_of_our_own_proxies_only(
    alice: Person, api: APIClient
) -> None:
    for each in range(100):
        body = {"email": f"{each}@example.com", "password": "wrong"}
        api.post(LOGIN, body, format="json", HTTP_X_FORWARDED_FOR=f"198.51.100.{each}")
    body = {"email": "alice@example.com", "password": PASSWORD}
    answer = api.post(LOGIN, body, format="json", HTTP_X_FORWARDED_FOR="203.0.113.1")
    assert answer.status_code == 429


@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout"])
def test_the_other_doors_are_throttled_by_address(db: None, api: APIClient, path: str) -> None:
    for _ in range(300):
        assert _post(api, path).status_code == 400
    assert _post(api, path).status_code == 429
