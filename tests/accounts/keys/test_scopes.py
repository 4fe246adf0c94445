"""What a program may do with an API key or a personal access token, at every door."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from accounts.keys import api_keys, personal_tokens, scopes
from accounts.keys.restrictions import Restrictions
from accounts.leaks import ended
from accounts.models import ApiKey, PersonalToken
from accounts.sign_in import proof, tokens
from billing.books import ledger
from billing.plans.seed import seed as seed_plans
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database

ALL = scopes.OF_TOKENS


def program(raw: str) -> Client:
    return Client(HTTP_AUTHORIZATION=f"Bearer {raw}")


def session(person: Person) -> Client:
    return program(tokens.issue(person.user).access_token)


def token(person: Person, *granted: str, **more: Any) -> str:
    return personal_tokens.mint(person.user, "report", granted, **more)[1]


def key(person: Person, *granted: str) -> str:
    return api_keys.mint(person.user, "tool", None, Restrictions(scopes=granted))[1]


# -- Doors ---------------------------------------------------------------------------------------


def doors() -> list[tuple[str, str, Any]]:
    """Every path and method of /api that takes a signed-in caller, and what scope it asks for."""
    found = []
    for prefix in get_resolver().url_patterns:
        if not isinstance(prefix, URLResolver) or str(prefix.pattern) != "api/":
            continue
        for each in prefix.url_patterns:
            view = getattr(each.callback, "cls", None)
            if view is None or not view.authentication_classes:
                continue
            path = "/api/" + str(each.pattern)
            for name, value in (
                ("<int:pk>", "1"),
                ("<str:pk>", "x"),
                ("<uuid:pk>", str(UUID(int=0))),
            ):
                path = path.replace(name, value)
            path = "".join("1" if part.startswith("<") else part for part in _split(path))
            actions = getattr(each.callback, "actions", None) or {
                verb: verb
                for verb in ("get", "post", "put", "patch", "delete")
                if hasattr(view, verb)
            }
            for verb in actions:
                if verb in ("get", "post", "put", "patch", "delete"):
                    needed = getattr(view, "scopes", {}).get(verb.upper(), "")
                    found.append((verb, path, needed))
    return found


def _split(path: str) -> list[str]:
    return path.replace("<", "\0<").replace(">", ">\0").split("\0")


def test_every_door_of_the_api_is_shut_to_who_lacks_its_scope(alice: Person) -> None:
    """And a door that says no scope takes a session: none is open by accident."""
    lacking = {scope: token(alice, *(each for each in ALL if each != scope)) for scope in ALL}
    everything, seen = token(alice, *ALL), set()
    for verb, path, needed in doors():
        if needed == scopes.ANY:
            continue
        answer = getattr(program(lacking.get(needed, everything)), verb)(path)
        assert (answer.status_code, path) == (403, path), (verb, path, answer.content)
        error = answer.json()["error"]
        assert (
            error["code"] == "scope_missing"
            and error.get("details", {}).get("scope", "") == needed
        ), (verb, path)
        seen.add(needed)
    assert seen == {"", *ALL}


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        (scopes.USAGE, "/api/usage"),
        (scopes.USAGE, "/api/usage/refusals"),
        (scopes.KEYS, "/api/keys"),
        (scopes.BILLING, "/api/billing/balance"),
        (scopes.BILLING, "/api/billing/transactions"),
        (scopes.BILLING, "/api/subscription"),
    ],
)
def test_a_scope_opens_its_doors(alice: Person, scope: str, path: str) -> None:
    seed_plans()
    for raw in (token(alice, scope), key(alice, scope)):
        assert program(raw).get(path).status_code == 200
        assert program(raw).get("/api/auth/me").json()["email"] == "alice@example.com"


def test_nothing_is_bought_without_the_scope(alice: Person) -> None:
    before = ledger.wallet(alice.user.pk).credits_total
    for raw in (token(alice, scopes.USAGE, scopes.KEYS, scopes.BILLING), alice.raw):
        answer = program(raw).post("/api/billing/topup", {"amount": "5"}, "application/json")
        assert answer.status_code == 403
        assert answer.json()["error"]["details"]["scope"] == "billing:write"
    assert ledger.wallet(alice.user.pk).credits_total == before


# -- What is given on ----------------------------------------------------------------------------


def test_who_manages_keys_gives_on_no_more_than_it_has(alice: Person) -> None:
    manager = program(key(alice, scopes.INFERENCE, scopes.KEYS))
    rich = ApiKey.objects.get(digest=api_keys.digest(key(alice, scopes.BILLING)))
    body = {"name": "wider", "scopes": ["inference", "billing:read"]}
    refused = [
        manager.post("/api/keys", body, "application/json"),
        manager.patch(f"/api/keys/{rich.pk}", {"name": "mine"}, "application/json"),
        manager.post(f"/api/keys/{rich.pk}/rotate", {"overlap_seconds": 0}, "application/json"),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    made = manager.post("/api/keys", {"name": "x", "scopes": ["inference"]}, "application/json")
    assert made.status_code == 201 and made.json()["scopes"] == ["inference"]
    assert manager.delete(f"/api/keys/{made.json()['id']}").status_code == 204


def test_a_capped_key_cannot_make_itself_one_without_a_cap(alice: Person) -> None:
    owner = session(alice)
    body = {"name": "both", "daily_spend_cap": "1.00", "scopes": ["inference", "keys:manage"]}
    answer = owner.post("/api/keys", body, "application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "scopes_conflict")
    made = owner.post("/api/keys", {**body, "scopes": ["inference"]}, "application/json").json()
    wider = owner.patch(f"/api/keys/{made['id']}", {"scopes": ["keys:manage"]}, "application/json")
    assert wider.json()["error"]["code"] == "scopes_conflict"
    assert ApiKey.objects.get(pk=made["id"]).scopes == ["inference"]


def test_a_rotated_key_keeps_its_scopes(alice: Person) -> None:
    first, _ = api_keys.mint(alice.user, "tool", None, Restrictions(scopes=(scopes.BILLING,)))
    successor, _ = api_keys.rotate(first, timedelta(0))
    assert successor.scopes == ["billing:read"]


# -- The end of a token --------------------------------------------------------------------------


def test_a_token_ends_by_itself_and_at_once_when_it_is_revoked(alice: Person) -> None:
    raw = token(alice, scopes.USAGE)
    assert program(raw).get("/api/usage").status_code == 200
    made = PersonalToken.objects.get()
    assert made.last_used_at is not None
    PersonalToken.objects.update(expires_at=timezone.now())
    expired = program(raw).get("/api/usage")
    assert (expired.status_code, expired.json()["error"]["code"]) == (401, "invalid_token")
    PersonalToken.objects.update(expires_at=timezone.now() + timedelta(days=1))
    personal_tokens.revoke(made)
    assert program(raw).get("/api/usage").status_code == 401
    assert not personal_tokens.revoke(made)


def test_the_first_proof_of_the_address_ends_tokens_made_before_it(alice: Person) -> None:
    raw = token(alice, *ALL)
    proof.vouch(alice.user)
    assert proof.settle(alice.user, password="correct horse battery")
    assert program(raw).get("/api/auth/me").status_code == 401


def test_a_leaked_token_is_found_by_its_shape_and_ends(alice: Person) -> None:
    raw = token(alice, scopes.KEYS)
    assert ended.found_in(f"TOKEN={raw}") == [raw]
    assert ended.end(raw, ended.Report("github"))
    assert program(raw).get("/api/keys").status_code == 401
    assert not ended.end(raw[:-1] + ("x" if raw[-1] != "x" else "y"), ended.Report("github"))


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["inference"]},
        {"name": "x", "scopes": ["usage:read"], "expires_at": "2199-01-01T00:00:00Z"},
        {"name": "x", "scopes": ["usage:read"], "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "x", "scopes": ["usage:read"], "forever": True},
    ],
)
def test_a_token_that_cannot_be_is_refused(alice: Person, body: dict[str, Any]) -> None:
    answer = session(alice).post("/api/tokens", body, "application/json")
    assert answer.status_code == 400
    assert not PersonalToken.objects.exists()


def test_tokens_are_made_listed_and_revoked_with_a_session_alone(alice: Person) -> None:
    owner = session(alice)
    made = owner.post(
        "/api/tokens", {"name": "ci", "scopes": ["keys:manage", "usage:read"]}, "application/json"
    ).json()
    assert made["scopes"] == ["usage:read", "keys:manage"] and made["status"] == "active"
    assert program(made["token"]).post("/api/tokens", {}, "application/json").status_code == 403
    (listed,) = owner.get("/api/tokens").json()["results"]
    assert "token" not in listed and listed["last4"] == made["token"][-4:]
    assert owner.delete(f"/api/tokens/{made['id']}").status_code == 204
    assert owner.get(f"/api/tokens/{made['id']}").json()["status"] == "revoked"


def test_the_page_makes_a_token_and_ends_it(alice: Person) -> None:
    page = Client()
    page.post("/account/login/", {"login": "alice@example.com", "password": PASSWORD})
    page.post("/account/reauthenticate/", {"password": PASSWORD})
    shown = page.get("/account/tokens")
    form = shown.context["form"]
    posted = {
        "name": "laptop",
        "expires": "30",
        "scopes": ["billing:read"],
        "once": str(form["once"].value()),
    }
    made = page.post("/account/tokens", posted)
    raw = made.context["raw"]
    assert (
        raw.encode() in made.content
        and program(raw).get("/api/billing/balance").status_code == 200
    )
    again = page.post("/account/tokens", posted)
    assert again.status_code == 302 and PersonalToken.objects.count() == 1
    listed = page.get("/account/tokens").content.decode()
    assert "laptop" in listed and raw not in listed
    page.post(f"/account/tokens/{PersonalToken.objects.get().pk}/revoke")
    assert program(raw).get("/api/billing/balance").status_code == 401
