"""The kill switch of who manages a team: it holds against new keys, by whatever door."""

import uuid

import pytest
from django.test import Client

from accounts.keys import personal_tokens, stopping
from accounts.models import ApiKey, TeamEvent
from accounts.teams import memberships
from billing.books.models import AuditEntry
from gateway.plane import callers
from tests.accounts.teams.world import Member, joined, team_of
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database


@pytest.fixture
def team(gateway: Gateway, alice: Person) -> Member:
    return team_of(fund(alice, "10"))


@pytest.fixture
def bob(team: Member) -> Member:
    return joined(team, "bob", "developer")


def refusal(gateway: Gateway, key: Person) -> str:
    return str(gateway.chat(key).json()["error"]["code"])


def tries(member: Member) -> list[str]:
    """To make a key by each door: the page, the playground, /api, and a program's token."""
    page = member.browser()
    before = ApiKey.objects.count()
    form = {"name": "more", "once": str(uuid.uuid4()), "scopes": ["inference"]}
    assert "until they start it again" in page.post("/keys", form).content.decode()
    page.post("/playground", {"make": ""})
    assert ApiKey.objects.count() == before
    made = member.api().post("/api/keys", {"name": "more"}, format="json")
    _, raw = personal_tokens.mint(
        member.account, "t", ["usage:read", "keys:manage"], person=member.person
    )
    head = {"Authorization": f"Bearer {raw}"}
    by_token = Client().post(
        "/api/keys", {"name": "more"}, content_type="application/json", headers=head
    )
    return [each.json()["error"]["code"] for each in (made, by_token)]


def test_a_stopped_member_has_no_key_and_makes_none(
    gateway: Gateway, team: Member, bob: Member
) -> None:
    key, theirs = bob.key(), team.key()
    assert gateway.chat(key).status_code == 200
    where = f"/api/teams/{team.account.pk}/members/{bob.place.pk}"
    stopped = team.api().patch(where, {"stopped": True}, format="json")
    assert stopped.json()["stopped"] is True
    assert refusal(gateway, key) == "key_stopped"
    assert gateway.chat(theirs).status_code == 200, "others go on"
    assert tries(bob) == ["member_stopped"] * 2
    assert bob.api().patch(where, {"stopped": False}, format="json").status_code == 403
    assert bob.browser().post("/keys/switch", {"start": ""}).status_code == 302
    assert refusal(gateway, key) == "key_stopped", "nor do they start themselves"
    memberships.leave(bob.now())
    again = joined(team, "bob", "developer")
    assert tries(again) == ["member_stopped"] * 2, "nor by leaving and coming back"
    page = team.browser()
    assert "Start their keys again" in page.get(f"/team/members/{again.place.pk}").content.decode()
    page.post(f"/team/members/{again.place.pk}/switch", {"start": ""})
    assert gateway.chat(again.key("fresh")).status_code == 200
    deeds = TeamEvent.objects.filter(action__startswith="member_st").order_by("pk")
    assert [each.action for each in deeds] == ["member_stopped", "member_started"]


def test_one_key_that_an_owner_stopped_is_replaced_by_no_other(
    gateway: Gateway, team: Member, bob: Member
) -> None:
    key, other = bob.key(), bob.key("other")
    team.browser().post(f"/keys/{key.key.pk}/switch", {"stop": ""})
    assert refusal(gateway, key) == "key_stopped" and gateway.chat(other).status_code == 200
    bob.browser().post(f"/keys/{key.key.pk}/revoke")
    assert tries(bob) == ["member_stopped"] * 2, "nor once they have revoked it"
    team.browser().post(f"/team/members/{bob.place.pk}/switch", {"start": ""})
    assert gateway.chat(bob.key("fresh")).status_code == 200
    team.browser().post(f"/keys/{other.key.pk}/switch", {"stop": ""})
    team.browser().post(f"/keys/{other.key.pk}/revoke")
    assert bob.api().post("/api/keys", {"name": "x"}, format="json").status_code == 201


def test_whoever_stops_their_own_key_makes_others(team: Member, bob: Member) -> None:
    key = bob.key()
    bob.browser().post(f"/keys/{key.key.pk}/switch", {"stop": ""})
    assert bob.api().post("/api/keys", {"name": "x"}, format="json").status_code == 201


def test_stop_all_keys_holds_every_member(gateway: Gateway, team: Member, bob: Member) -> None:
    admin, idle = joined(team, "carol", "admin"), joined(team, "dave", "developer")
    theirs = [team.key(), bob.key(), admin.key()]
    admin.browser().post("/keys/switch", {"stop": ""})
    assert {refusal(gateway, key) for key in theirs} == {"key_stopped"}
    assert tries(idle) == ["member_stopped"] * 2, "who had no key makes none"
    team.browser().post("/keys/switch", {"start": ""})
    assert [gateway.chat(key).status_code for key in (*theirs, idle.key())] == [200] * 4


def test_nobody_stops_whom_their_role_does_not_change(team: Member, bob: Member) -> None:
    admin, second = joined(team, "carol", "admin"), joined(team, "dave", "admin")
    for who, whom in ((admin, team), (admin, second), (bob, admin)):
        where = f"/api/teams/{team.account.pk}/members/{whom.place.pk}"
        answer = who.api().patch(where, {"stopped": True}, format="json")
        assert answer.json()["error"]["code"] == "role_missing"
        who.browser().post(f"/team/members/{whom.place.pk}/switch", {"stop": ""})
        assert not whom.now().stopped


def test_staff_stop_and_start_a_member_and_the_owner_reads_of_it(
    gateway: Gateway, team: Member, bob: Member
) -> None:
    key = bob.key()
    chosen = {"_selected_action": [bob.place.pk]}
    looks = staff("finance")
    looks.post("/admin/accounts/membership/", {"action": "stop", **chosen})
    assert not bob.now().stopped
    client = staff("support")
    client.post("/admin/accounts/membership/", {"action": "stop", **chosen})
    assert AuditEntry.objects.filter(subject__contains=str(bob.place.pk)).exists()
    assert refusal(gateway, key) == "key_stopped"
    client.post("/admin/accounts/membership/", {"action": "start", **chosen})
    assert gateway.chat(key).status_code == 200
    seen = team.browser().get("/team/audit").content.decode()
    assert "Stopped all keys of a member" in seen and "support" in seen


def test_a_key_of_the_playground_is_its_member_s_and_within_their_limits(
    gateway: Gateway, team: Member, bob: Member
) -> None:
    page, other = bob.browser(), team.browser()
    other.post("/playground", {"make": ""})
    memberships.change(team.now(), bob.now(), lifetime_cap=1)
    page.post("/playground", {"make": ""})
    made = ApiKey.objects.filter(name="Playground", revoked_at=None)
    assert {key.member_id for key in made} == {team.place.pk, bob.place.pk}
    callers.forget()
    assert stopping.holding(bob.now()) is None
