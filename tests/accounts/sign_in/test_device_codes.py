"""A program signs in by a code that its person types."""

from typing import Any

import pytest
from django.test import Client

from accounts.keys import personal_tokens, scopes
from accounts.models import Membership, PersonalToken, Role, TeamEvent
from accounts.sign_in import device_codes
from accounts.teams import forming
from tests.confirmed import confirm
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(autouse=True)
def _polls_at_once(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "impatient" not in request.node.name:
        monkeypatch.setattr(device_codes, "_wait", lambda digest: None)


def ask(**more: str) -> dict[str, Any]:
    sent = {"client_id": "hontoni-cli", "device_name": "laptop", **more}
    found: dict[str, Any] = Client().post("/oauth/device", sent).json()
    return found


def poll(codes: dict[str, Any]) -> dict[str, Any]:
    sent = {
        "client_id": "hontoni-cli",
        "grant_type": GRANT,
        "device_code": codes["device_code"],
    }
    found: dict[str, Any] = Client().post("/oauth/token", sent).json()
    return found


def browser(person: Person) -> Client:
    """Of who has just given their password."""
    page = Client()
    page.post("/account/login/", {"login": person.user.email, "password": PASSWORD})
    page.post("/account/reauthenticate/", {"password": PASSWORD})
    return page


def decide(person: Person, codes: dict[str, Any], deed: str = "allow") -> str:
    page = browser(person)
    shown = page.post("/device", {"code": codes["user_code"]})
    assert "laptop" in shown.content.decode()
    answer = page.post("/device", {"code": codes["user_code"], "deed": deed}, follow=True)
    return answer.content.decode()


def test_a_program_gets_a_token_once_its_person_typed_the_code(alice: Person) -> None:
    codes = ask()
    assert codes["verification_uri"].endswith("/device")
    assert "verification_uri_complete" not in codes  # a link would let anybody's program in
    assert poll(codes)["error"] == "authorization_pending"
    assert "It is let in" in decide(alice, codes)
    given = poll(codes)
    found = personal_tokens.find(given["access_token"])
    assert found is not None and found.user == alice.user
    assert found.scopes == given["scope"].split() == list(device_codes.OFFERED)
    assert poll(codes)["error"] == "expired_token"  # it is good once
    assert PersonalToken.objects.count() == 1
    (event,) = TeamEvent.objects.filter(action="device_allowed")
    assert (event.account, event.subject, event.facts["asked_from"]) == (
        *(alice.user, "laptop", "127.0.0.1"),
    )
    me = Client().get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {given['access_token']}")
    assert me.json()["email"] == "alice@example.com"
    assert Client().post("/oauth/revoke", {"token": given["access_token"]}).status_code == 200
    found.refresh_from_db()
    assert found.revoked_at is not None


def test_what_was_allowed_in_a_session_that_has_ended_gives_nothing(alice: Person) -> None:
    codes = ask()
    assert "It is let in" in decide(alice, codes)
    alice.user.set_password("another password of hers")
    alice.user.save()
    assert poll(codes)["error"] == "access_denied"
    assert not PersonalToken.objects.exists()


def test_who_is_not_let_in_gets_nothing(alice: Person, bob: Person) -> None:
    codes = ask()
    decide(alice, codes, "deny")
    page = browser(bob)
    late = page.post("/device", {"code": codes["user_code"], "deed": "allow"})
    assert "No program waits for this code" in late.content.decode()
    assert poll(codes)["error"] == "access_denied"
    assert not PersonalToken.objects.exists()


def test_nobody_decides_without_their_password(alice: Person) -> None:
    codes = ask()
    assert Client().post("/device", {"code": codes["user_code"]}).status_code == 302
    page = Client()
    page.force_login(alice.user)
    asked = page.post("/device", {"code": codes["user_code"], "deed": "allow"})
    assert asked.status_code == 302 and "reauthenticate" in asked["Location"]
    assert poll(codes)["error"] == "authorization_pending"


def test_a_code_from_elsewhere_is_warned_of(alice: Person) -> None:
    sent = {"client_id": "hontoni-cli", "device_name": "laptop"}
    codes = Client(REMOTE_ADDR="203.0.113.9").post("/oauth/device", sent).json()
    shown = browser(alice).post("/device", {"code": codes["user_code"]}).content.decode()
    assert "The program is at 203.0.113.9, and you are not" in shown


def test_what_buys_is_not_given_by_a_code() -> None:
    assert ask(scope="usage:read billing:write")["error"] == "invalid_scope"
    assert ask(client_id="other")["error"] == "invalid_client"


def test_an_impatient_program_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_codes, "INTERVAL_SECONDS", 300)  # whatever this machine takes
    codes = ask()
    assert poll(codes)["error"] == "authorization_pending"
    assert [poll(codes)["error"] for _ in range(2)] == ["slow_down"] * 2


def test_a_member_gives_on_what_their_role_may_and_only_while_they_are_one(
    alice: Person, bob: Person
) -> None:
    confirm(alice.user)
    team = forming.make(alice.user, "Crew").account
    mine = Membership.objects.create(account=team, person=bob.user, role=Role.BILLING)
    bob.user.acts_for = team
    type(bob.user).objects.filter(pk=bob.user.pk).update(acts_for=team)
    first, second = ask(), ask()
    for codes in (first, second):
        assert "It is let in" in decide(bob, codes)
    given = poll(first)
    assert given["scope"].split() == [scopes.USAGE, scopes.BILLING]
    assert personal_tokens.find(given["access_token"]).user == team  # type: ignore[union-attr]
    Membership.objects.filter(pk=mine.pk).update(ended_at=mine.joined_at)
    assert poll(second)["error"] == "access_denied"


def test_where_tokens_come_from_is_told() -> None:
    found = Client().get("/.well-known/oauth-authorization-server").json()
    assert found["grant_types_supported"] == [GRANT]
    assert found["device_authorization_endpoint"].endswith("/oauth/device")
