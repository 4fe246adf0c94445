"""What each role may do: every page and every door of /api, and those that cheat."""

from typing import Any

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver

from accounts.keys import scopes
from accounts.models import Membership, PersonalToken, Role, TeamEvent
from accounts.teams import roles
from tests.accounts.teams.world import Member, joined, team_of
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database

READS = {
    "/keys": {"owner", "admin", "developer", "viewer"},
    "/overview": {"owner", "admin", "developer", "billing", "viewer"},
    "/usage": {"owner", "admin", "developer", "billing", "viewer"},
    "/team": {"owner", "admin", "developer", "billing", "viewer"},
    "/team/usage": {"owner", "admin", "developer", "billing", "viewer"},
    "/team/usage.csv": {"owner", "admin", "developer", "billing", "viewer"},
    "/account/tokens": {"owner", "admin", "developer", "billing", "viewer"},
    "/device": {"owner", "admin", "developer", "billing", "viewer"},
    "/billing": {"owner", "admin", "billing", "viewer"},
    "/billing/plans": {"owner", "admin", "billing", "viewer"},
    "/billing/invoices": {"owner", "admin", "billing", "viewer"},
    "/playground": {"owner", "admin", "developer"},
    "/own-keys": {"owner", "admin"},
    "/account/export": {"owner", "admin"},
    "/team/audit": {"owner"},
    "/team/transfer": {"owner"},
    "/team/delete": {"owner"},
    "/team/sign-on": {"owner"},
    "/account": {"owner", "admin", "developer", "billing", "viewer"},
    "/teams": {"owner", "admin", "developer", "billing", "viewer"},
    "/account/email/": {"owner", "admin", "developer", "billing", "viewer"},
}
WRITES = {
    "/keys": {"owner", "admin", "developer"},
    "/billing/topup": {"owner", "admin", "billing"},
    "/billing/plans/change": {"owner", "admin", "billing"},
    "/billing/promo": {"owner", "admin", "billing"},
    "/account/privacy": {"owner", "admin"},
    "/own-keys": {"owner", "admin"},
    "/team/invite": {"owner", "admin"},
    "/team/settings": {"owner", "admin"},
    "/team/sign-on/domain": {"owner"},
    "/team/sign-on/scim": {"owner"},
}
API = {
    ("get", "/api/keys"): {"owner", "admin", "developer"},
    ("post", "/api/keys"): {"owner", "admin", "developer"},
    ("get", "/api/usage"): {"owner", "admin", "developer", "billing", "viewer"},
    ("get", "/api/billing/balance"): {"owner", "admin", "billing", "viewer"},
    ("post", "/api/billing/promo-code"): {"owner", "admin", "billing"},
    ("post", "/api/subscription/upgrade"): {"owner", "admin", "billing"},
    ("patch", "/api/billing/auto-topup"): {"owner", "admin", "billing"},
    ("get", "/api/auth/me/privacy"): {"owner", "admin"},
    ("get", "/api/own-keys"): {"owner", "admin"},
    ("get", "/api/tokens"): {"owner", "admin", "developer", "billing", "viewer"},
    ("get", "/api/teams/{id}"): {"owner", "admin", "developer", "billing", "viewer"},
    ("get", "/api/teams/{id}/members"): {"owner", "admin", "developer", "billing", "viewer"},
    ("get", "/api/teams/{id}/usage"): {"owner", "admin", "developer", "billing", "viewer"},
    ("get", "/api/teams/{id}/invitations"): {"owner", "admin"},
    ("post", "/api/teams/{id}/invitations"): {"owner", "admin"},
    ("patch", "/api/teams/{id}"): {"owner", "admin"},
    ("get", "/api/teams/{id}/events"): {"owner"},
    ("get", "/api/teams/{id}/domains"): {"owner"},
    ("get", "/api/teams/{id}/sign-on"): {"owner"},
}


@pytest.fixture
def team(alice: Person) -> Member:
    return team_of(alice)


def _fresh(page: Client, person: Any) -> None:
    """They have just shown to be it."""
    session = page.session
    session["account_authentication_methods"] = [{"method": "password", "at": 2**33}]
    session["account_authentication_methods_user"] = str(person.pk)
    session.save()


@pytest.mark.parametrize("role", Role.values)
def test_every_page_and_door_by_role(team: Member, role: str) -> None:
    them = team if role == "owner" else joined(team, role, role)
    page, api = them.browser(), them.api()
    _fresh(page, them.person)
    for path, allowed in READS.items():
        status = page.get(path).status_code
        assert (status != 403) == (role in allowed), (role, path, status)
    for path, allowed in WRITES.items():
        status = page.post(path, {}).status_code
        assert (status != 403) == (role in allowed), (role, path, status)
    for (method, path), allowed in API.items():
        answer = getattr(api, method)(path.format(id=team.account.pk), {}, format="json")
        refused = answer.status_code == 403 and answer.json()["error"]["code"] == "role_missing"
        assert refused != (role in allowed), (role, method, path, answer.content)


def _names(resolver: Any = None) -> set[str]:
    found: set[str] = set()
    for each in (resolver or get_resolver()).url_patterns:
        if isinstance(each, URLResolver):
            if str(each.pattern) not in ("admin/", "account/", "api/", "scim/v2/"):
                found |= _names(each)
        elif each.name:
            found.add(each.name)
    return found


def test_the_table_knows_every_page_and_no_other() -> None:
    """A page that nobody thought of is for owners and admins: these are."""
    known = set(roles.PAGES) | roles.PERSONAL
    apart = {
        "stripe-webhook",
        "sepay-webhook",
        "payos-webhook",
        "own-keys",
        "own-key",
        "own-key-test",
        "own-key-remove",
    }
    assert _names() - known == apart | {"data-export", "account-privacy", "team-settings"}
    assert known <= _names()


def test_whom_a_role_refuses_is_told_in_words(team: Member) -> None:
    viewer = joined(team, "bob", "viewer")
    page = viewer.browser().post("/billing/topup", {}).content.decode()
    assert "In Acme you are: Viewer" in page
    answer = viewer.api().post("/api/keys", {"name": "mine"}, format="json").json()["error"]
    assert (answer["code"], answer["details"]["role"]) == ("role_missing", "viewer")


def test_a_developer_sees_their_own_keys_and_an_admin_all(team: Member) -> None:
    bob, carol = joined(team, "bob", "developer"), joined(team, "carol", "developer")
    hers = carol.key()
    made = bob.api().post("/api/keys", {"name": "mine"}, format="json").json()
    assert (made["member"], made["name"]) == ("bob@example.com", "mine")
    assert [k["id"] for k in bob.api().get("/api/keys").json()["results"]] == [made["id"]]
    assert bob.api().get(f"/api/keys/{hers.key.pk}").status_code == 404
    assert bob.browser().get(f"/keys/{hers.key.pk}").status_code == 404
    assert bob.browser().post(f"/keys/{hers.key.pk}/revoke").status_code == 404
    assert len(team.api().get("/api/keys").json()["results"]) == 3
    assert "carol@example.com" in team.browser().get("/keys").content.decode()


def test_nobody_but_whose_it_is_is_shown_a_rotated_key(team: Member) -> None:
    theirs = joined(team, "bob", "developer").key()
    path = f"/api/keys/{theirs.key.pk}/rotate"
    answer = team.api().post(path, {"overlap_seconds": 0}, format="json")
    assert answer.json()["error"]["code"] == "role_missing"
    assert team.browser().post(f"/keys/{theirs.key.pk}/rotate", {"overlap": 0}).status_code == 404
    assert team.api().delete(f"/api/keys/{theirs.key.pk}").status_code == 204


def test_nobody_rises_by_themselves(team: Member) -> None:
    admin, bob = joined(team, "carol", "admin"), joined(team, "bob", "developer", daily_cap=5)
    base = f"/api/teams/{team.account.pk}/members"
    for member, path, body in (
        (bob, bob, {"role": "admin"}),
        (bob, bob, {"daily_spend_cap": None}),
        (admin, admin, {"daily_spend_cap": None}),
        (admin, bob, {"role": "admin"}),
        (admin, team, {"role": "viewer"}),
        (team, bob, {"role": "owner"}),
        (team, team, {"role": "viewer"}),
    ):
        answer = member.api().patch(f"{base}/{path.place.pk}", body, format="json")
        assert answer.status_code == 403, (member, body, answer.content)
    assert admin.api().delete(f"{base}/{team.place.pk}").status_code == 403
    assert admin.now().role == "admin" and bob.now().daily_cap == 5
    invited = admin.api().post(
        f"/api/teams/{team.account.pk}/invitations",
        {"email": "x@example.com", "role": "admin"},
        format="json",
    )
    assert invited.status_code == 403


def test_another_team_is_no_affair_of_its_neighbours(team: Member, bob: Person) -> None:
    other = team_of(bob, "Rivals")
    base = f"/api/teams/{team.account.pk}"
    for path in ("", "/members", "/events", "/usage", f"/members/{team.place.pk}"):
        assert other.api().get(f"{base}{path}").status_code == 404, path
    path = f"/api/teams/{other.account.pk}/members/{team.place.pk}"
    assert other.api().patch(path, {"role": "viewer"}, format="json").status_code == 404
    client = Member(Membership(account=team.account, person=other.person)).api()
    assert client.get("/api/keys").json()["error"]["code"] == "not_a_member"
    page = other.browser()
    assert page.post("/teams/switch", {"account": team.account.pk}).status_code == 404
    assert page.get(f"/team/members/{team.place.pk}").status_code == 404
    session = page.session
    session["account"] = team.account.pk  # not that anybody could write it
    session.save()
    assert page.get("/keys").status_code == 302


def test_a_token_does_what_its_person_s_role_does_and_no_more(team: Member) -> None:
    bob = joined(team, "bob", "billing")
    body = {"name": "t", "scopes": [scopes.KEYS]}
    assert bob.api().post("/api/tokens", body, format="json").status_code == 403
    body["scopes"] = [scopes.BILLING, scopes.BUYING]
    raw = bob.api().post("/api/tokens", body, format="json").json()["token"]
    by = Client(headers={"Authorization": f"Bearer {raw}"})
    assert by.get("/api/billing/balance").status_code == 200
    Membership.objects.filter(pk=bob.place.pk).update(role="viewer")
    assert by.get("/api/billing/balance").status_code == 200
    promo = by.post("/api/billing/promo-code", {"code": "x"}, "application/json")
    assert promo.json()["error"]["code"] == "role_missing"
    assert by.get("/api/billing/balance", headers={"X-Account": "1234"}).status_code == 403
    assert team.api().get("/api/tokens").json()["results"] == []
    assert PersonalToken.objects.get().person_id == bob.person.pk


def test_a_key_that_makes_keys_makes_its_member_s(team: Member) -> None:
    bob = joined(team, "bob", "developer", daily_cap=7)
    theirs = bob.key(scopes=[scopes.KEYS, scopes.INFERENCE])
    by = Client(headers={"Authorization": f"Bearer {theirs.raw}"})
    made = by.post("/api/keys", {"name": "n", "scopes": ["inference"]}, "application/json")
    assert made.json()["member"] == "bob@example.com"
    assert len(by.get("/api/keys").json()["results"]) == 2  # the account's own is not among them


def test_who_did_what_is_written_down(team: Member) -> None:
    bob = joined(team, "bob", "admin")
    page = bob.browser()
    page.post("/account/privacy", {})
    page.post("/keys", {"name": ""})
    page.post("/billing/topup", {"amount": "nonsense"})  # a form with errors is no deed
    bob.api().post("/api/billing/promo-code", {"code": "none"}, format="json")
    team.browser().post("/team/invite", {"email": "dave@example.com", "role": "viewer"})
    found = [(e.actor_email, e.action, e.subject) for e in TeamEvent.objects.order_by("pk")]
    assert found == [
        ("alice@example.com", "team_made", "Acme"),
        ("alice@example.com", "invited", "bob@example.com"),
        ("bob@example.com", "joined", "bob@example.com"),
        ("bob@example.com", "account-privacy", ""),
        ("alice@example.com", "invited", "dave@example.com"),
    ]
    page = team.browser()
    assert "dave@example.com" in page.get("/team/audit").content.decode()
    listed = team.api().get(f"/api/teams/{team.account.pk}/events").json()["results"]
    assert listed[0]["action"] == "invited"


def test_sensitive_pages_ask_for_the_person_s_password(team: Member) -> None:
    page = team.browser()
    for path in ("/team/transfer", "/team/delete", "/team/sign-on", "/account/tokens"):
        answer = page.get(path)
        assert answer.status_code == 302, path
        assert "/account/reauthenticate/" in answer["Location"]
    page.post("/account/reauthenticate/?next=/team/transfer", {"password": PASSWORD})
    assert page.get("/team/transfer").status_code == 200
