"""How people come into a team, what happens when they go, and who owns it."""

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.keys import api_keys, personal_tokens, scopes
from accounts.models import ApiKey, Invitation, Membership, Role, TeamEvent, User
from accounts.people import mailboxes
from accounts.sign_in import deletion
from accounts.teams import invitations, memberships, ownership
from hontoni import errors
from tests.accounts.teams.world import Member, browser, joined, link, team_of, with_team
from tests.confirmed import confirm
from tests.world import PASSWORD, Person, person

pytestmark = pytest.mark.any_database


@pytest.fixture
def team(alice: Person) -> Member:
    return team_of(alice)


# -- Invitations ---------------------------------------------------------------------------------


def test_whoever_is_invited_joins_by_the_link_and_works_for_the_team(
    team: Member, bob: Person
) -> None:
    confirm(bob.user)
    with_team(team, "bob@example.com", "developer")
    (letter,) = mail.outbox
    assert letter.to == ["bob@example.com"]
    page = browser(bob.user)
    shown = page.get(f"/teams/join/{link()}").content.decode()
    assert "alice@example.com invites you to Acme" in shown
    assert not Membership.objects.filter(person=bob.user).exists()  # looking is not joining
    answer = page.post(f"/teams/join/{link()}", follow=True)
    assert "Welcome to Acme." in answer.content.decode()
    assert page.get("/keys").context["work"].account.pk == team.account.pk
    assert "Switch account" in page.get("/keys").content.decode()


def test_a_link_is_good_once_and_for_its_address_alone(team: Member, bob: Person) -> None:
    confirm(bob.user)
    mallory = confirm(person("mallory").user)
    with_team(team, "bob@example.com", "developer")
    token = link()
    answer = browser(mallory).post(f"/teams/join/{token}")  # forwarded, or stolen
    assert answer.status_code == 403
    assert "for another address" in answer.content.decode()
    assert browser(bob.user).post(f"/teams/join/{token}").status_code == 302
    assert browser(bob.user).post(f"/teams/join/{token}").status_code == 404
    memberships.leave(Membership.objects.get(person=bob.user))
    assert browser(bob.user).post(f"/teams/join/{token}").status_code == 404
    assert browser(bob.user).get("/teams/join/made-up").status_code == 404
    assert Client().get("/teams/join/made-up").status_code == 404


def test_an_address_that_is_not_confirmed_joins_nothing(team: Member, bob: Person) -> None:
    with_team(team, "bob@example.com", "admin")  # anybody could have opened bob's account
    assert browser(bob.user).post(f"/teams/join/{link()}").status_code == 403
    strangers = Client().get(f"/teams/join/{link()}").content.decode()
    assert "Log in with bob@example.com" in strangers
    confirm(bob.user)
    assert browser(bob.user).post(f"/teams/join/{link()}").status_code == 302


def test_invitations_end_by_time_by_hand_and_with_whoever_sent_them(team: Member) -> None:
    bob = confirm(person("bob").user)
    carol = joined(team, "carol", "admin")
    with_team(team, "bob@example.com", "viewer")
    token = link()
    Invitation.objects.filter(accepted_at=None).update(expires_at=timezone.now())
    with pytest.raises(errors.NotFound):
        invitations.accept(token, bob)
    with_team(team, "bob@example.com", "viewer")
    token = link()
    invitations.revoke(team.place, Invitation.objects.latest("pk"))
    with pytest.raises(errors.NotFound):
        invitations.accept(token, bob)
    with_team(carol, "bob@example.com", "viewer")
    token = link()
    memberships.remove(team.now(), carol.now())
    with pytest.raises(errors.NotFound):
        invitations.accept(token, bob)
    assert not Membership.objects.filter(person=bob).exists()


def test_the_doors_of_invitations(team: Member, bob: Person) -> None:
    confirm(bob.user)
    base = f"/api/teams/{team.account.pk}/invitations"
    body = {"email": "Bob@Example.com", "role": "developer"}
    made = team.api().post(base, body, format="json")
    assert (made.status_code, made.json()["email"]) == (201, "bob@example.com")
    assert [each["email"] for each in team.api().get(base).json()["results"]] == [
        "bob@example.com"
    ]
    again = team.api().post(base, body, format="json")
    assert again.status_code == 201  # the earlier one has ended
    assert len(team.api().get(base).json()["results"]) == 1
    path = f"{base}/{again.json()['id']}"
    assert team.api().delete(path).status_code == 204
    assert team.api().get(base).json()["results"] == []
    joined(team, "carol", "viewer")
    body["email"] = "carol@example.com"
    assert team.api().post(base, body, format="json").json()["error"]["code"] == "already_member"


# -- Going ---------------------------------------------------------------------------------------


def test_whoever_goes_loses_keys_tokens_and_sessions_and_nothing_is_forgotten(
    team: Member,
) -> None:
    bob = joined(team, "bob", "developer", daily_cap=5)
    key = bob.key()
    _, raw = personal_tokens.mint(team.account, "t", [scopes.USAGE], person=bob.person)
    token = Client(headers={"Authorization": f"Bearer {raw}"})
    page, api = bob.browser(), bob.api()
    assert token.get("/api/usage").status_code == 200
    assert page.get("/keys").status_code == 200
    memberships.remove(team.now(), bob.now())
    assert api_keys.refusal(api_keys.find(api_keys.digest(key.raw)), timezone.now())  # type: ignore[arg-type]
    assert token.get("/api/usage").status_code == 401
    assert api.get("/api/keys").json()["error"]["code"] == "not_a_member"
    answer = page.post("/keys", {"name": "mine"}, follow=True)
    assert "You are no longer a member of that team." in answer.content.decode()
    assert not ApiKey.objects.filter(user=bob.person).exclude(name="laptop").exists()
    assert ApiKey.objects.get(pk=key.key.pk).member_id == bob.place.pk
    back = joined(team, "bob", "developer")
    assert (back.place.pk, back.place.daily_cap) == (bob.place.pk, 5)  # its purse goes on
    assert ApiKey.objects.get(pk=key.key.pk).revoked_at is not None


def test_a_role_without_keys_ends_them(team: Member) -> None:
    bob = joined(team, "bob", "developer")
    key = bob.key()
    memberships.change(team.now(), bob.now(), role="viewer")
    key.key.refresh_from_db()
    assert key.key.revoked_at is not None
    assert bob.api().post("/api/keys", {"name": "n"}, format="json").status_code == 403


def test_somebody_whom_staff_deactivate_is_out_of_every_team(team: Member) -> None:
    bob = joined(team, "bob", "admin")
    key = bob.key()
    User.objects.filter(pk=bob.person.pk).update(is_active=False)
    found = api_keys.find(api_keys.digest(key.raw))
    assert found is not None
    refused = api_keys.refusal(found, timezone.now())
    assert refused is not None
    assert "has left the team" in refused.message
    assert not memberships.active(team.account.pk).filter(pk=bob.place.pk).exists()


def test_the_owner_stays_until_somebody_else_is_it(team: Member) -> None:
    with pytest.raises(errors.Conflict):
        memberships.leave(team.now())
    with pytest.raises(errors.Conflict):
        deletion.delete(team.person)
    assert team.person.is_active
    page = team.browser()
    assert page.post("/team/leave", follow=True).status_code == 200
    assert team.now().ended_at is None


def test_who_deletes_their_account_leaves_their_teams(team: Member) -> None:
    bob = joined(team, "bob", "developer")
    key = bob.key()
    deletion.delete(bob.person)
    key.key.refresh_from_db()
    assert key.key.revoked_at is not None
    assert bob.now().ended_at is not None
    assert "bob@example.com" not in set(TeamEvent.objects.values_list("actor_email", flat=True))


# -- Owning --------------------------------------------------------------------------------------


def test_a_team_is_handed_over_and_both_are_told(team: Member) -> None:
    bob = joined(team, "bob", "developer")
    mail.outbox.clear()
    path = f"/api/teams/{team.account.pk}/transfer"
    body = {"member": bob.place.pk, "password": "wrong"}
    assert team.api().post(path, body, format="json").status_code == 401
    body["password"] = PASSWORD
    assert bob.api().post(path, body, format="json").json()["error"]["code"] == "role_missing"
    assert team.now().role == "owner"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.db.transaction.on_commit", lambda work, **_: work())
        answer = team.api().post(path, body, format="json")
    assert (answer.status_code, answer.json()["role"]) == (200, "admin")
    assert (team.now().role, bob.now().role) == ("admin", "owner")
    told = sorted(address for sent in mail.outbox for address in sent.to)
    assert told == ["alice@example.com", "bob@example.com"]
    with pytest.raises(errors.Forbidden):
        ownership.transfer(team.now(), bob.now())
    memberships.leave(team.now())  # now she may


def test_a_team_is_deleted_with_its_name_and_its_members_keep_their_accounts(
    team: Member,
) -> None:
    bob = joined(team, "bob", "developer")
    key = bob.key()
    path = f"/api/teams/{team.account.pk}"
    body = {"name": "Other", "password": PASSWORD}
    assert team.api().delete(path, body, format="json").status_code == 400
    body["name"] = "Acme"
    assert bob.api().delete(path, body, format="json").status_code == 403
    assert team.api().delete(path, body, format="json").status_code == 204
    key.key.refresh_from_db()
    assert key.key.revoked_at is not None
    assert not Membership.objects.active().exists()
    assert bob.person.is_active and team.person.is_active
    assert browser(bob.person).get("/overview").status_code == 200
    deletion.delete(team.person)  # who owns no team any more
    assert Membership.objects.filter(role=Role.OWNER, ended_at=None).count() == 0


def test_mails_of_a_team_go_to_who_minds_its_money(team: Member) -> None:

    joined(team, "bob", "billing")
    joined(team, "carol", "developer")
    assert mailboxes.recipients(team.account) == ["alice@example.com", "bob@example.com"]
    team.browser().post("/team/settings", {"name": "Acme Ltd", "billing_email": "pay@acme.test"})
    assert mailboxes.recipients(team.account) == ["pay@acme.test"]
    assert team.account.name == "Acme Ltd"
