"""A team's own provider signs its members in, and speaks for nobody else's people."""

import re
from collections.abc import Iterator

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Membership, SignOn, TeamDomain, User
from accounts.sign_on import domains, outbound, setting_up
from accounts.teams import memberships
from billing.books import ledger
from hontoni import errors
from tests.accounts.teams.provider import CLIENT, SECRET, Provider, name_server, provider
from tests.accounts.teams.world import Member, joined, team_of
from tests.confirmed import confirm
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database


@pytest.fixture
def team(alice: Person) -> Member:
    return team_of(alice)


@pytest.fixture
def acme(team: Member, settings: Settings) -> Iterator[Provider]:
    """Acme's provider, set up for acme.test, which is Acme's."""
    settings.SIGN_ON_PRIVATE_NETWORKS = True
    proven(team, "acme.test")
    with provider() as found:
        change(team, found)
        found.who = who("dora@acme.test")
        yield found


def change(team: Member, found: Provider, enforced: bool = False) -> SignOn:
    return setting_up.change(
        team.now(),
        issuer=found.url,
        client_id=CLIENT,
        secret=SECRET,
        joins_as="developer",
        enforced=enforced,
    )


def proven(team: Member, name: str) -> TeamDomain:
    made = domains.add(team.now(), name)
    TeamDomain.objects.filter(pk=made.pk).update(proven_at=timezone.now())
    return made


def who(email: str, **more: object) -> dict[str, object]:
    return {"sub": f"id-{email}", "email": email, "email_verified": True, "name": "Dora", **more}


def arrive(found: Provider, page: Client | None = None) -> tuple[Client, int, str]:
    """Through the provider and back: the browser, the status and the page."""
    page = page or Client()
    begun = page.get("/sign-on/acme")
    answer = page.get(found.authorize(begun["Location"]))
    return page, answer.status_code, answer.content.decode()


def test_somebody_new_gets_an_account_and_a_place(team: Member, acme: Provider) -> None:
    page, status, _ = arrive(acme)
    assert status == 302
    assert page.get("/keys").context["work"].account.pk == team.account.pk
    dora = User.objects.get(email="dora@acme.test")
    assert not dora.has_usable_password()
    assert Membership.objects.get(person=dora).role == "developer"
    assert ledger.balance(dora.pk) == 0  # no mailbox has answered: nothing is given for it
    assert arrive(acme)[1] == 302
    assert User.objects.filter(email="dora@acme.test").count() == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"email_verified": False},
        {"email_verified": None},
        {"email": "bob@example.com"},
        {"email": ""},
        {"nonce": "another"},
        {"nonce": "nónce"},
        {"sub": ""},
        {"sub": 7},
        {"email": ["dora@acme.test"]},
        {"nbf": 2**40},
        {"aud": "somebody else"},
        {"iss": "http://127.0.0.1:1"},
        {"exp": 1},
        {"aud": [CLIENT, "other"], "azp": "other"},
    ],
)
def test_what_is_not_so_opens_nothing(
    team: Member, acme: Provider, lie: dict[str, object]
) -> None:
    acme.lies = lie
    page, status, text = arrive(acme)
    assert status in (400, 403), text
    assert page.get("/keys").status_code == 302
    assert not Membership.objects.exclude(pk=team.place.pk).exists()


def test_a_forged_or_replayed_answer_opens_nothing(acme: Provider) -> None:
    acme.forged = True
    assert arrive(acme)[1] == 400
    acme.forged = False
    page = Client()
    back = acme.authorize(page.get("/sign-on/acme")["Location"])
    assert Client().get(back).status_code == 400  # in another browser
    assert page.get(back).status_code == 302
    assert page.get(back).status_code == 400
    assert page.get("/sign-on/callback?code=1&state=").status_code == 400


def test_it_speaks_for_nobody_else_s_people(team: Member, acme: Provider, bob: Person) -> None:
    confirm(bob.user)
    acme.who = who("bob@example.com")
    assert arrive(acme)[1] == 403
    acme.who = who("alice@example.com")  # not even for the team's owner elsewhere
    assert arrive(acme)[1] == 403
    unproven = User.objects.create_user("dora@acme.test", PASSWORD)  # opened by whoever
    acme.who = who("dora@acme.test")
    assert arrive(acme)[1] == 403
    User.objects.filter(pk=unproven.pk).update(is_staff=True)
    EmailAddress.objects.create(user=unproven, email="dora@acme.test", verified=True, primary=True)
    assert arrive(acme)[1] == 403


def test_somebody_is_found_again_by_sub_and_only_while_they_are_of_the_domain(
    acme: Provider,
) -> None:
    arrive(acme)
    dora = User.objects.get(email="dora@acme.test")
    acme.who = who("dora@acme.test") | {"email": "dora.new@acme.test"}
    assert arrive(acme)[1] == 302
    assert User.objects.filter(email__endswith="acme.test").count() == 1
    User.objects.filter(pk=dora.pk).update(email="dora@home.test")
    assert arrive(acme)[1] == 403


def test_whoever_was_shown_out_does_not_come_back_by_signing_in(
    team: Member, acme: Provider
) -> None:
    arrive(acme)
    memberships.remove(team.now(), Membership.objects.get(person__email="dora@acme.test"))
    _, status, text = arrive(acme)
    assert (status, "no longer, a member" in text) == (403, True)


def test_enforced_it_is_the_only_way_but_for_the_owner(team: Member, acme: Provider) -> None:
    confirm(User.objects.create_user("dora@acme.test", PASSWORD))
    login = {"login": "dora@acme.test", "password": PASSWORD}
    before = Client()
    assert before.post("/account/login/", login)["Location"] == "/overview"
    arrive(acme)
    change(team, acme, enforced=True)
    assert before.get("/keys").status_code == 302  # that session has ended
    answer = Client().post("/account/login/", login)
    assert answer["Location"] == "/sign-on/acme"
    body = {"email": "dora@acme.test", "password": PASSWORD}
    refused = Client().post("/api/auth/login", body, "application/json")
    assert refused.json()["error"]["code"] == "sign_on_required"
    new = {"email": "new@Acme.test", "password": PASSWORD, "name": "New"}
    opened = Client().post("/api/auth/register", new, "application/json")
    assert opened.json()["error"]["code"] == "sign_on_required"
    assert not User.objects.filter(email="new@acme.test").exists()
    assert arrive(acme)[1] == 302
    owner = Client().post("/account/login/", {"login": "alice@example.com", "password": PASSWORD})
    assert owner["Location"] == "/overview"
    other = joined(team, "bob", "viewer")  # of another domain, whom the provider does not know
    page = Client().post("/account/login/", {"login": other.person.email, "password": PASSWORD})
    assert page["Location"] == "/overview"


def test_enforced_it_ends_sessions_of_the_domain_s_people_who_are_no_members_yet(
    team: Member, acme: Provider
) -> None:
    before = User.objects.create_user("dora@acme.test", PASSWORD)
    other = User.objects.create_user("eve@other.test", PASSWORD)
    change(team, acme, enforced=True)
    assert User.objects.get(pk=before.pk).session_epoch == 1
    assert User.objects.get(pk=other.pk).session_epoch == 0
    late = domains.add(team.place, "other.test")
    domains._prove(late, team.person, None)
    assert User.objects.get(pk=other.pk).session_epoch == 1, "a domain that is proven later"
    assert User.objects.get(pk=team.person.pk).session_epoch < 2, "its owner goes on"


def test_a_second_factor_of_their_own_is_still_asked_for(acme: Provider) -> None:
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    dora = confirm(User.objects.create_user("dora@acme.test", PASSWORD))
    TOTP.activate(dora, generate_totp_secret())
    page, status, _ = arrive(acme)
    assert status == 302
    assert page.get("/keys").status_code == 302


# -- Domains -------------------------------------------------------------------------------------


def test_a_domain_is_proven_by_a_record(team: Member, settings: Settings) -> None:
    made = domains.add(team.now(), "Acme.Test")
    records: dict[str, str] = {}
    with name_server(records) as settings.DNS_SERVER:
        with pytest.raises(errors.BadRequest):
            domains.prove_by_record(team.now(), made)
        records["acme.test"] = f"hontoni-domain={made.secret}"
        domains.prove_by_record(team.now(), made)
    assert domains.proven(team.account.pk) == {"acme.test"}


def test_or_by_whoever_reads_its_administrators_mail(team: Member, client: Client) -> None:
    made = domains.add(team.now(), "acme.test")
    with pytest.raises(errors.BadRequest):
        domains.send_proof(team.now(), made, "alice")
    mail.outbox.clear()
    path = f"/api/teams/{team.account.pk}/domains/{made.pk}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.db.transaction.on_commit", lambda work, **_: work())
        body = {"by": "mail", "mailbox": "postmaster"}
        assert team.api().post(path, body, format="json").status_code == 200
    (letter,) = mail.outbox
    assert letter.to == ["postmaster@acme.test"]
    found = re.search(r"/domains/\S+", str(letter.body))
    assert found is not None
    assert client.get(found[0]).status_code == 200
    assert not domains.proven(team.account.pk)  # a mail scanner opens links, too
    client.post(found[0])
    assert domains.proven(team.account.pk) == {"acme.test"}
    assert client.post(f"/domains/{made.pk}/guessed").status_code == 404


def test_a_domain_is_one_team_s(team: Member, bob: Person) -> None:
    other = team_of(bob, "Rivals")
    proven(team, "acme.test")
    theirs = domains.add(other.now(), "acme.test")
    with pytest.raises(errors.Conflict):
        domains.prove_by_mail(theirs.pk, theirs.secret)
    for name in ("gmail.com", "com", "10.0.0.1", "a b.com", ""):
        with pytest.raises(errors.BadRequest):
            domains.add(other.now(), name)


def test_only_the_public_internet_is_asked(team: Member) -> None:
    for url in (
        "http://example.com",
        "https://user@example.com",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://169.254.169.254/latest",
        "https://[::1]/x",
    ):
        with pytest.raises(errors.BadRequest):
            outbound.get(url)


def test_only_the_owner_sets_it_up(team: Member) -> None:
    admin = joined(team, "carol", "admin")
    path = f"/api/teams/{team.account.pk}/sign-on"
    body = {"issuer": "", "client_id": "", "password": PASSWORD}
    assert admin.api().put(path, body, format="json").status_code == 403
    assert team.api().put(path, body | {"password": "x"}, format="json").status_code == 401
    assert team.api().put(path, body, format="json").json()["enforced"] is False
    enforced = team.api().put(path, body | {"enforced": True}, format="json")
    assert enforced.json()["error"]["param"] == "enforced"
