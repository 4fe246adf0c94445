"""A form of one account is never sent for another, that was opened in a second tab."""

import re
import uuid

import pytest

from accounts.models import ApiKey, Invitation
from tests.accounts.teams.world import Member, joined, team_of
from tests.world import Person

pytestmark = pytest.mark.any_database


@pytest.fixture
def team(alice: Person) -> Member:
    return team_of(alice)


def test_what_was_typed_for_a_team_is_not_done_in_one_s_own_account(team: Member) -> None:
    bob = joined(team, "bob", "admin")
    page = bob.browser()
    shown = page.get("/keys").content.decode()
    found = re.search(r'name="of_account" value="(\d+)"', shown)
    assert found is not None and found[1] == str(team.account.pk)
    meant = {"of_account": found[1]}
    page.post("/teams/switch", {"account": str(bob.person.pk), **meant})  # in another tab
    before = ApiKey.objects.count()
    form = {"name": "ci", "once": str(uuid.uuid4()), "scopes": ["inference"], **meant}
    answer = page.post("/keys", form, follow=True)
    assert "nothing was done" in answer.content.decode()
    assert ApiKey.objects.count() == before
    invite = {"email": "x@example.com", "role": "viewer", **meant}
    answer = page.post("/team/invite", invite, follow=True)
    assert "nothing was done" in answer.content.decode() and not Invitation.objects.filter(
        email="x@example.com"
    )
    page.post("/teams/switch", {"account": str(team.account.pk), **meant})
    assert "nothing was done" not in page.post("/keys", form, follow=True).content.decode()
    assert ApiKey.objects.filter(user=team.account, member=bob.place).count() == 1


def test_who_was_alone_until_a_team_was_opened_elsewhere(team: Member, bob: Person) -> None:
    them = joined(team, "bob", "developer")
    own = bob.user.pk
    page = them.browser()  # the team is open in this session, the form is of before
    answer = page.post(
        "/keys", {"name": "ci", "once": str(uuid.uuid4()), "of_account": str(own)}, follow=True
    )
    assert "nothing was done" in answer.content.decode()
    assert not ApiKey.objects.filter(user=team.account, member=them.place).exists()


def test_pages_about_the_person_are_of_no_account(team: Member) -> None:
    page = joined(team, "bob", "viewer").browser()
    answer = page.post("/teams/new", {"name": "Another", "of_account": "1"}, follow=True)
    assert "The team is made" in answer.content.decode()
