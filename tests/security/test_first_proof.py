"""An account somebody else opened with your address: the first proof settles whose it is."""

import re
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.socialaccount.internal.flows.login import complete_login
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.middleware import SessionMiddleware
from django.core import mail
from django.test import Client, RequestFactory
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.keys import api_keys
from accounts.models import ApiKey, PersonalToken, TeamDomain, User
from accounts.sign_in import mail_adapter, tokens
from accounts.sign_on import directory, domains, entering, setting_up
from accounts.sign_on.provider import Claims
from accounts.teams import forming
from billing.channels.models import Channel
from billing.invoices.models import BillingDetails
from billing.mails.models import Preferences
from billing.payments.models import AutoTopUp
from billing.rewards import referrals
from billing.rewards.models import Referral
from billing.staff.account_opening import Order, open_account
from gateway.batches.models import StoredFile
from gateway.dashboard.models import SavedView
from gateway.vendors.own_keys.models import OwnKey
from hontoni import money
from hontoni.errors import Conflict, Forbidden
from tests.accounts.teams.world import team_of
from tests.gateway.vendors.own_keys import SECRET, offer
from tests.vendors import Vendors
from tests.world import PASSWORD, Person

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

VICTIM = "victim@example.com"
MINE = "a password of my own"


_GOOGLE = SimpleNamespace(
    id="google",
    app=None,
    get_settings=lambda: {"EMAIL_AUTHENTICATION": True},
    serialize=dict,
)


class Hijacker:
    """Opens an account with somebody else's address, and leaves everything it can in it."""

    def __init__(self) -> None:
        self.api, self.browser = APIClient(), Client(REMOTE_ADDR="203.0.113.7")
        body = {"email": VICTIM, "password": PASSWORD}
        told = self.api.post("/api/auth/register", body, format="json").json()
        self.refresh = told["refresh_token"]
        self.api.credentials(HTTP_AUTHORIZATION=f"Bearer {told['access_token']}")
        made = self.api.post(
            "/api/keys", {"name": "mine"}, format="json", REMOTE_ADDR="203.0.113.7"
        )
        self.raw: str = made.json()["key"]
        self.browser.post("/account/login/", {"login": VICTIM, "password": PASSWORD})
        self.user = User.objects.get(email=VICTIM)

    def is_out(self) -> bool:
        """Key, access token, refresh token, session and password: nothing works."""
        key = api_keys.find(api_keys.digest(self.raw))
        login = {"email": VICTIM, "password": PASSWORD}
        works = [
            key is not None and key.revoked_at is None,
            self.api.get("/api/auth/me").status_code == 200,
            self.goes_on(),
            self.browser.get("/account").status_code == 200,
            APIClient().post("/api/auth/login", login, format="json").status_code == 200,
        ]
        assert len(set(works)) == 1, works
        return not any(works)

    def goes_on(self) -> bool:
        """With the refresh token it has."""
        body = {"refresh_token": self.refresh}
        answer = APIClient().post("/api/auth/refresh", body, format="json")
        self.refresh = answer.json().get("refresh_token", self.refresh)
        return bool(answer.status_code == 200)


@pytest.fixture(autouse=True)
def _mails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker sends them at once."""
    monkeypatch.setattr(mail_adapter.send_mail, "delay", mail_adapter.send_mail)


@pytest.fixture
def hijacker() -> Hijacker:
    found = Hijacker()
    assert not found.is_out()
    return found


def link(kind: str) -> str:
    """The newest in a mail to the victim."""
    for sent in reversed(mail.outbox):
        found = re.search(rf"/account/{kind}/\S+", str(sent.body))
        if found and sent.to == [VICTIM]:
            return found[0]
    raise AssertionError(kind)


def reset(browser: Client) -> None:
    browser.post("/account/password/reset/", {"email": VICTIM})
    page = browser.get(link("password/reset/key"), follow=True)
    path = page.request["PATH_INFO"]
    done = browser.post(path, {"password1": MINE, "password2": MINE})
    assert done.status_code == 302


def start_clean(browser: Client) -> None:
    assert browser.post(link("confirm-email"), {"new_password": MINE}).status_code == 302


def only_click(browser: Client) -> None:
    answer = browser.post(link("confirm-email"), follow=True)
    path = answer.request["PATH_INFO"]
    assert browser.post(path, {"password1": MINE, "password2": MINE}).status_code == 302


def google(browser: Client | None, email: str = VICTIM) -> Any:
    """Google says who somebody is, and that the address is theirs."""
    request = RequestFactory().get("/")
    SessionMiddleware(lambda _: None).process_request(request)  # type: ignore[arg-type]
    request.user = AnonymousUser()
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    login = SocialLogin(
        user=User(email=email),
        provider=_GOOGLE,
        account=SocialAccount(provider="google", uid="1"),
        email_addresses=[EmailAddress(email=email, verified=True, primary=True)],
    )
    with context.request_context(request):
        complete_login(request, login)
    return request


@pytest.mark.parametrize("prove", [reset, start_clean, only_click, google])
def test_who_was_there_first_is_out(hijacker: Hijacker, prove: Callable[[Client], Any]) -> None:
    totp.TOTP.activate(hijacker.user, "JBSWY3DPEHPK3PXP")
    SocialAccount.objects.create(user=hijacker.user, provider="github", uid="hijacker")
    prove(Client())
    assert hijacker.is_out()
    assert not Authenticator.objects.exists() and not SocialAccount.objects.exists()
    assert EmailAddress.objects.get().verified
    if prove is not google:
        body = {"email": VICTIM, "password": MINE}
        assert APIClient().post("/api/auth/login", body, format="json").status_code == 200


def test_nothing_listens_or_answers_for_the_owner_that_was_there_before(
    hijacker: Hijacker, vendors: Vendors
) -> None:
    user = hijacker.user
    offer(vendors)
    hijacker.api.post("/api/own-keys", {"provider": "openai", "secret": SECRET}, format="json")
    for kind in Channel.Kind.values:
        Channel.objects.create(account=user, person=user, kind=kind, name="mine")
    StoredFile.objects.create(
        id="file_mine", user=user, name="mine", purpose="batch", bytes=0, expires_at=timezone.now()
    )
    SavedView.objects.create(user_id=user.pk, name="mine", query="")
    hijacker.api.patch("/api/auth/me/privacy", {"keeps_responses": False}, format="json")
    before = User.objects.get(pk=user.pk).terms_version
    left = (OwnKey, Channel, StoredFile, SavedView)
    assert all(kind.objects.exists() for kind in left), [k.objects.count() for k in left]
    reset(Client())
    assert not any(kind.objects.exists() for kind in left)
    found = User.objects.get(pk=user.pk)
    assert found.keeps_responses and found.terms_version > before


def test_nor_does_a_program_they_let_in(hijacker: Hijacker) -> None:
    asked = {"client_id": "hontoni-cli", "device_name": "laptop"}
    codes = Client().post("/oauth/device", asked).json()
    hijacker.browser.post("/account/reauthenticate/", {"password": PASSWORD})
    said = {"code": codes["user_code"], "deed": "allow"}
    assert hijacker.browser.post("/device", said).status_code == 302
    reset(Client())
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    poll = {
        "client_id": "hontoni-cli",
        "grant_type": grant,
        "device_code": codes["device_code"],
    }
    assert Client().post("/oauth/token", poll).json()["error"] == "access_denied"
    assert not PersonalToken.objects.exists()


def test_staffs_word_makes_no_team_of_it_and_no_sign_on_either(
    hijacker: Hijacker, alice: Person
) -> None:
    now = timezone.now()
    open_account(Order(email=VICTIM, key="demo"), until=now, now=now, actor="test")
    hijacker.user.refresh_from_db()
    with pytest.raises(Forbidden):
        forming.part(hijacker.user, "Evil Ltd.")
    team = team_of(alice)
    proven = domains.add(team.now(), "example.com")
    TeamDomain.objects.filter(pk=proven.pk).update(proven_at=now)
    sign_on = setting_up.of_team(team.now())
    with pytest.raises(Forbidden):
        entering.enter(sign_on, Claims("sub", VICTIM, True, "Victim"))
    with pytest.raises(Conflict):
        directory.provision(sign_on, VICTIM)


# What becomes of everything that hangs on an account when it is given clean. Whoever adds a table
# says so here.
ENDS = """
    account.EmailAddress socialaccount.SocialAccount mfa.Authenticator usersessions.UserSession
    accounts.ApiKey accounts.PersonalToken accounts.RefreshToken accounts.Membership
    billing.Channel billing.BillingDetails billing.Preferences billing.Referral payments.AutoTopUp
    gateway.Batch gateway.StoredFile gateway.SavedView gateway.OwnKey
"""
# The books, what was paid and bought, what was told, and by what somebody is known again.
STAYS = """
    billing.Wallet billing.CreditRequest billing.Invoice billing.Notice billing.Told
    billing.Subscription billing.ResetPass billing.LimitRaise billing.Redemption
    billing.ReferralCode billing.Mark billing.Claim billing.Card billing.CustomerNote
    payments.BankOrder payments.BankTransfer payments.BankRefund payments.StripeCustomer
    payments.PlanOrder payments.TopUp payments.Dispute djstripe.Customer
    gateway.UsageBroughtForward gateway.LeftOut gateway.CustomerPrice gateway.ProvenUsage
    gateway.Correction gateway.CorrectedAccount gateway.UsageEvent gateway.UsageHour
    gateway.OwnKeyHour gateway.FeatureUse gateway.Refusal cockpit.CustomerDay
    accounts.Consent accounts.KeyPlace accounts.TeamEvent admin.LogEntry
"""
# Nobody has them whose address is not proven: they are a team's, or of staff.
NEVER = """
    accounts.Invitation accounts.TeamDomain accounts.SignOn accounts.SignOnIdentity
    accounts.DirectoryGroup accounts.User accounts.User_groups accounts.User_user_permissions
"""


def test_it_is_known_of_every_table_what_becomes_of_it() -> None:
    fields = User._meta.get_fields(include_hidden=True)
    models = (f.related_model for f in fields if f.auto_created and not f.concrete)
    tables = {model._meta.label for model in models if model is not None}
    assert tables == {*ENDS.split(), *STAYS.split(), *NEVER.split()}


def test_what_vendors_were_allowed_ends_too(hijacker: Hijacker) -> None:
    hijacker.api.patch("/api/auth/me/privacy", {"vendors_may_store": True}, format="json")
    assert User.objects.get(email=VICTIM).vendors_may_store
    reset(Client())
    assert not User.objects.get(email=VICTIM).vendors_may_store


def test_no_card_is_charged_and_no_mail_missing_that_was_not_the_owners_wish(
    hijacker: Hijacker,
) -> None:
    user = hijacker.user
    AutoTopUp.objects.create(
        user=user,
        enabled=True,
        threshold=money.DOLLAR,
        amount=100 * money.DOLLAR,
        monthly_cap=900 * money.DOLLAR,
    )
    Preferences.of(user).change(low_balance=Decimal(1), switched={"low_balance": False})
    BillingDetails.objects.create(user=user, name="Evil Ltd.")
    reset(Client())
    assert not AutoTopUp.objects.get().enabled
    assert Preferences.of(user).unwanted == [] and BillingDetails.of(user).name == ""


def test_the_page_shows_what_keys_there_are(hijacker: Hijacker) -> None:
    page = Client().get(link("confirm-email")).content.decode()
    assert "mine" in page and hijacker.raw[-4:] in page and "203.0.113.7" in page


def test_the_password_keeps_everything(hijacker: Hijacker) -> None:
    Client().post(link("confirm-email"), {"password": PASSWORD})
    assert not hijacker.is_out()
    assert EmailAddress.objects.get().verified


def test_a_wrong_password_settles_nothing(hijacker: Hijacker) -> None:
    answer = Client().post(link("confirm-email"), {"password": "a wrong password"})
    assert answer.status_code == 200
    assert not EmailAddress.objects.get().verified and not hijacker.is_out()


def test_a_session_of_the_account_keeps_everything(hijacker: Hijacker) -> None:
    hijacker.browser.post(link("confirm-email"))
    assert not hijacker.is_out()
    assert EmailAddress.objects.get().verified


def test_a_weak_password_does_not_take_the_account(hijacker: Hijacker) -> None:
    Client().post(link("confirm-email"), {"new_password": "12345"})
    assert not EmailAddress.objects.get().verified and not hijacker.is_out()


def test_once_it_is_proven_a_reset_leaves_the_keys(hijacker: Hijacker) -> None:
    hijacker.browser.post(link("confirm-email"))
    reset(Client())
    assert ApiKey.objects.get().revoked_at is None
    assert hijacker.api.get("/api/auth/me").status_code == 401
    assert hijacker.browser.get("/account").status_code == 302


def test_the_word_of_staff_is_no_proof(hijacker: Hijacker) -> None:
    now = timezone.now()
    opened = open_account(Order(email=VICTIM, key="demo"), until=now, now=now, actor="test")
    assert not opened.created and EmailAddress.objects.get().verified
    reset(Client())
    assert hijacker.is_out()
    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_nor_is_their_word_in_the_admin(hijacker: Hijacker, admin_client: Client) -> None:
    address = EmailAddress.objects.get(email=VICTIM)
    form = {"action": "make_verified", "_selected_action": address.pk}
    admin_client.post("/admin/account/emailaddress/", form)
    assert EmailAddress.objects.get(email=VICTIM).verified and not hijacker.is_out()
    reset(Client())
    assert hijacker.is_out()


def test_whom_staff_made_keeps_the_key_they_were_given() -> None:
    now = timezone.now()
    open_account(Order(email=VICTIM, key="demo"), until=now, now=now, actor="test")
    reset(Client())
    assert ApiKey.objects.get().revoked_at is None


def test_nobody_earns_by_having_opened_it_with_their_code(
    hijacker: Hijacker, alice: Person
) -> None:
    code = referrals.code_of(alice.user.pk)
    referrals.accept(
        hijacker.user, code, address="203.0.113.7", now=timezone.now(), signing_up=True
    )
    reset(Client())
    assert not Referral.objects.exists()


# -- Another address ------------------------------------------------------------------------------


@pytest.fixture
def changing(alice: Person) -> Client:
    """Alice, who is confirmed, mistypes the address she wants to change to."""
    EmailAddress.objects.create(
        user=alice.user, email=alice.user.email, verified=True, primary=True
    )
    browser = Client()
    browser.force_login(alice.user)
    browser.post("/account/reauthenticate/", {"password": PASSWORD})
    browser.post("/account/email/", {"action_add": "", "email": VICTIM})
    assert EmailAddress.objects.filter(email=VICTIM, verified=False).exists()
    return browser


def test_another_mailbox_does_not_open_a_proven_account(changing: Client, alice: Person) -> None:
    stranger = Client()
    for body in ({}, {"new_password": MINE}, {"password": "guessed password"}):
        stranger.post(link("confirm-email"), body)
    stranger.post("/account/password/reset/", {"email": VICTIM})
    with pytest.raises(AssertionError):
        link("password/reset/key")
    google(None)
    alice.user.refresh_from_db()
    assert alice.user.email == "alice@example.com" and alice.user.check_password(PASSWORD)
    assert changing.get("/account").status_code == 200
    alice.key.refresh_from_db()
    assert alice.key.revoked_at is None


def test_its_owner_changes_it_in_the_session_or_by_the_password(
    changing: Client, alice: Person
) -> None:
    Client().post(link("confirm-email"), {"password": PASSWORD})
    alice.user.refresh_from_db()
    assert alice.user.email == VICTIM
    assert tokens.issue(alice.user)


def test_somebody_who_opens_an_account_with_it_meanwhile_keeps_it(
    changing: Client, alice: Person
) -> None:
    theirs = link("confirm-email")
    hijacker = Hijacker()
    answer = changing.post(theirs)
    assert answer.status_code == 200
    assert 'action="/account/confirm-email' not in answer.content.decode()
    alice.user.refresh_from_db()
    assert alice.user.email == "alice@example.com" and not hijacker.is_out()


def test_an_unproven_address_stays_until_another_one_is_proven() -> None:
    for n in range(2):
        mine, other = f"typo{n}@example.com", f"right{n}@example.com"
        APIClient().post(
            "/api/auth/register", {"email": mine, "password": PASSWORD}, format="json"
        )
        user, browser = User.objects.get(email=mine), Client()
        browser.force_login(user)
        browser.post("/account/reauthenticate/", {"password": PASSWORD})
        for new in ("wrong@example.com", other):
            assert (
                browser.post("/account/email/", {"action_add": "", "email": new}).status_code
                == 302
            )
            page = browser.get("/account/email/").content.decode()
            assert mine in page and new in page
        user.refresh_from_db()
        assert user.email == mine
        addresses = EmailAddress.objects.filter(user=user)
        assert set(addresses.values_list("email", flat=True)) == {mine, other}
        browser.post(
            f"/account/confirm-email/{EmailConfirmationHMAC(addresses.get(email=other)).key}/"
        )
        user.refresh_from_db()
        assert user.email == addresses.get().email == other


def test_the_first_proof_may_be_of_the_new_address(hijacker: Hijacker) -> None:
    EmailAddress.objects.all().update(email="other@example.com")
    User.objects.filter(pk=hijacker.user.pk).update(email="other@example.com")
    new = EmailAddress.objects.create(user=hijacker.user, email=VICTIM)
    key = EmailConfirmationHMAC(new).key
    Client().post(f"/account/confirm-email/{key}/", {"new_password": MINE})
    assert EmailAddress.objects.get().email == VICTIM
    assert User.objects.get(pk=hijacker.user.pk).email == VICTIM
    assert hijacker.is_out()
