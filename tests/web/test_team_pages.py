"""The pages of a team in a browser: on the smallest phone, light and dark, in Vietnamese, with
axe; and in words on a screen."""

from typing import Any

import pytest

from accounts.models import TeamDomain, User
from accounts.sign_on import directory, domains, setting_up
from accounts.teams import invitations, memberships
from hontoni.money import nanos
from tests.accounts.teams.world import Member, team_of
from tests.confirmed import confirm
from tests.gateway_server import Gateway
from tests.web.conftest import Open
from tests.web.test_every_page import _look_at
from tests.world import Person, person

pytestmark = pytest.mark.any_database


def a_busy_team(alice: Person) -> tuple[Member, list[str]]:
    """Something for every page, and the pages."""
    team = team_of(alice, "Công ty trách nhiệm hữu hạn Rất Dài Tên")
    bob = confirm(person("bob.with.quite.a.long.address").user)
    member = memberships.add(team.account, bob, "developer")
    listed = {"allowed_models": ["gpt-4o"], "allowed_ips": ["10.0.0.0/8"]}
    limits: dict[str, Any] = {"daily_cap": nanos("5"), **listed}
    memberships.change(team.now(), member, **limits)
    memberships.switch(team.now(), member, stopped=True)
    invitations.invite(team.now(), "somebody.else@example.com", "billing")
    made = domains.add(team.now(), "acme.test")
    assert isinstance(made, TeamDomain)
    sign_on = setting_up.of_team(team.now())
    directory.set_members(directory.make_group(sign_on, "Engineering"), [member])
    paths = ["/teams", "/team", "/team/usage", "/team/audit", "/team/sign-on", "/keys"]
    paths += [f"/usage?member={member.pk}", f"/usage/refusals?member={member.pk}"]
    return team, [*paths, f"/team/members/{member.pk}", "/team/transfer", "/team/delete"]


def test_the_team_s_pages_fit_a_phone_are_accessible_and_speak_vietnamese(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    team, paths = a_busy_team(alice)
    owner = Person(User.objects.get(pk=team.place.person_id), alice.key, alice.raw)
    _look_at(open_page, owner, paths)
