"""An account becomes a team, and nothing about it changes but who signs in."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.keys import personal_tokens, scopes
from accounts.models import Membership, Role, TeamEvent, User
from accounts.people import mailboxes
from accounts.sign_in import tokens
from billing.books import ledger
from hontoni.money import nanos
from tests.accounts.teams.world import browser, team_of
from tests.confirmed import confirm
from tests.world import PASSWORD, Person


def test_money_keys_and_name_stay_and_the_sign_in_parts(alice: Person) -> None:
    ledger.post(
        key="t", kind=ledger.Kind.ADJUSTMENT, user_id=alice.user.pk, amount=nanos("7"), reason="t"
    )
    confirm(alice.user)
    before = ledger.balance(alice.user.pk)
    owner = team_of(alice)
    team, person = owner.account, owner.person
    assert team.pk == alice.user.pk != person.pk
    assert (team.is_team, team.name, team.has_usable_password()) == (True, "Acme", False)
    assert (person.email, person.name, person.is_team) == ("alice@example.com", "Alice", False)
    assert person.check_password(PASSWORD)
    assert owner.place.role == Role.OWNER
    assert ledger.balance(team.pk) == before >= nanos("7")
    assert ledger.balance(person.pk) == 0
    alice.key.refresh_from_db()
    assert (alice.key.user_id, alice.key.member) == (team.pk, None)
    assert EmailAddress.objects.get().user_id == person.pk
    assert mailboxes.recipients(team) == ["alice@example.com"]
    assert mailboxes.confirmed(team.pk) == ["alice@example.com"]


def test_a_second_factor_goes_with_the_person(alice: Person) -> None:
    Authenticator.objects.create(user=alice.user, type=Authenticator.Type.TOTP, data={})
    owner = team_of(alice)
    assert Authenticator.objects.get().user_id == owner.person.pk


def test_whoever_makes_it_stays_signed_in_and_works_for_it(client: Client, alice: Person) -> None:
    confirm(alice.user)
    page = browser(alice.user)
    other = browser(alice.user)
    answer = page.post("/teams/new", {"name": "Acme", "of": "mine"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/team"
    assert "alice@example.com" in answer.content.decode()
    assert page.get("/keys").context["keys"][0].pk == alice.key.pk
    assert other.get("/keys").status_code == 302  # signs in again
    signed_in = browser(User.objects.get(email="alice@example.com"))
    assert signed_in.get("/keys").context["keys"][0].pk == alice.key.pk


def test_a_session_of_api_goes_on_for_the_team_when_it_is_refreshed(alice: Person) -> None:
    before = tokens.issue(alice.user)
    personal_tokens.mint(alice.user, "report", [scopes.USAGE])
    owner = team_of(alice)
    after = tokens.rotate(before.refresh_token)
    assert after.user.pk == owner.person.pk
    client = Client(headers={"Authorization": f"Bearer {after.access_token}"})
    who = client.get("/api/auth/me").json()
    assert (who["email"], who["account"]["id"]) == ("alice@example.com", owner.account.pk)
    assert [key["id"] for key in client.get("/api/keys").json()["results"]] == [alice.key.pk]
    assert len(client.get("/api/tokens").json()["results"]) == 1


def test_a_team_beside_one_s_own_account_begins_empty(alice: Person) -> None:
    confirm(alice.user)
    page = browser(alice.user)
    page.post("/teams/new", {"name": "Acme", "of": "new"})
    place = Membership.objects.get()
    assert place.person_id == alice.user.pk
    assert ledger.balance(place.account_id) == 0
    assert not page.get("/keys").context["keys"]
    page.post("/teams/switch", {"account": alice.user.pk})
    assert len(page.get("/keys").context["keys"]) == 1
    assert TeamEvent.objects.get().action == "team_made"


def test_nobody_makes_a_team_with_an_address_that_is_not_confirmed(alice: Person) -> None:
    page = browser(alice.user)
    answer = page.post("/teams/new", {"name": "Acme", "of": "mine"}, follow=True)
    assert "Confirm your e-mail address first" in answer.content.decode()
    assert not Membership.objects.exists()


def test_staff_are_no_team(alice: Person) -> None:
    User.objects.filter(pk=alice.user.pk).update(is_staff=True)
    confirm(alice.user)
    browser(alice.user).post("/teams/new", {"name": "Acme", "of": "mine"})
    assert not User.objects.filter(is_team=True).exists()


def test_nobody_signs_in_as_a_team(client: Client, alice: Person) -> None:
    owner = team_of(alice)
    login = {"email": owner.account.email, "password": PASSWORD}
    assert client.post("/api/auth/login", login, "application/json").status_code == 401
