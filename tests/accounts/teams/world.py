"""A small team: alice's account was made it; bob, carol and dave may be in it."""

import re
from dataclasses import dataclass
from typing import Any

from django.core import mail
from django.test import Client, TestCase
from rest_framework.test import APIClient

from accounts.keys import api_keys
from accounts.models import ApiKey, Membership, User
from accounts.sign_in import tokens
from accounts.teams import acting, forming, invitations
from billing.plans.seed import seed
from tests.confirmed import confirm
from tests.world import Person, person


@dataclass(frozen=True)
class Member:
    """Somebody in the team, and how they come to its doors."""

    place: Membership

    @property
    def person(self) -> User:
        return User.objects.get(pk=self.place.person_id)

    @property
    def account(self) -> User:
        return User.objects.get(pk=self.place.account_id)

    def api(self) -> APIClient:
        """At /api, for the team."""
        client = APIClient()
        token = tokens.issue(self.person).access_token
        client.credentials(
            HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_X_ACCOUNT=str(self.place.account_id)
        )
        return client

    def browser(self) -> Client:
        """On the pages, for the team."""
        return browser(self.person, self.place.account_id)

    def key(self, name: str = "theirs", **restrictions: Any) -> Person:
        """A key of theirs in the team, as tests of /v1 use one."""
        made, raw = api_keys.mint(self.account, name, member=self.place)
        if restrictions:
            api_keys.change(made, **restrictions)
        return Person(self.account, made, raw)

    def now(self) -> Membership:
        return Membership.objects.get(pk=self.place.pk)


def browser(user: User, account: int | None = None) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    if account is not None:
        session = client.session
        session[acting.SESSION] = account
        session.save()
    return client


def team_of(owner: Person, name: str = "Acme") -> Member:
    """The owner's account becomes a team."""
    seed()
    confirm(owner.user)
    return Member(forming.part(User.objects.get(pk=owner.user.pk), name))


def joined(team: Member, name: str, role: str, **limits: Any) -> Member:
    """Somebody is invited and comes."""
    them = User.objects.filter(email=f"{name}@example.com").first() or person(name).user
    confirm(them)
    with_team(team, them.email, role)
    made = invitations.accept(link(), them)
    if limits:
        Membership.objects.filter(pk=made.pk).update(**limits)
    return Member(Membership.objects.get(pk=made.pk))


def with_team(team: Member, email: str, role: str) -> None:
    mail.outbox.clear()
    with TestCase.captureOnCommitCallbacks(execute=True):
        invitations.invite(team.now(), email, role)


def link(body: str = "") -> str:
    """The end of the link in the last invitation."""
    found = re.search(r"/teams/join/([\w-]+)", body or str(mail.outbox[-1].body))
    assert found is not None
    return found[1]


def keys_of(team: Member) -> list[ApiKey]:
    return list(ApiKey.objects.filter(user=team.account))
