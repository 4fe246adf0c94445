"""The reset pass: all windows empty at once, one time a period, paid and proven as all else."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.sign_in import mail_adapter
from billing.books import ledger
from billing.books.models import AuditEntry
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.payments import balance_refunds
from billing.plans import terms
from billing.plans.models import Plan, ResetPass, Subscription
from billing.subscriptions import balance_changes, resets
from gateway.stores import rebuilding
from hontoni import errors
from hontoni.money import DOLLAR, nanos
from tests.accounts.teams.world import joined, team_of
from tests.gateway_server import Gateway, fund
from tests.world import Person, at_once

pytestmark = pytest.mark.usefixtures("unhurried")


@pytest.fixture
def full(gateway: Gateway, alice: Person) -> Person:
    """Alice on Standard, of which two requests in 5 hours are left, and neither any more."""
    Plan.objects.filter(slug="standard").update(five_hours=2, reset_price=4 * DOLLAR)
    fund(alice, "50")
    plan = Plan.objects.get(slug="standard")
    balance_changes.subscribe(alice.user.pk, plan, now=timezone.now())
    assert [gateway.chat(alice).status_code for _ in range(3)] == [200, 200, 429]
    return alice


def buy(person: Person, **body: Any) -> Any:
    return person.client().post("/api/subscription/reset", body, format="json")


def test_it_empties_every_window_at_once_and_is_paid_invoiced_and_told(
    gateway: Gateway, full: Person
) -> None:
    before = ledger.balance(full.user.pk)
    offered = full.client().get("/api/subscription/reset").json()
    assert (offered["price"], offered["reset_at"]) == ("4.00", None)
    answer = buy(full, price="4.00")
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert told["paid"] == "4.00" and told["price"] is None
    assert told["invoice"]["number"] == Invoice.objects.latest("pk").number
    assert ledger.balance(full.user.pk) == before - 4 * DOLLAR
    mine = Subscription.objects.get(user=full.user)
    assert told["next_at"] == mine.period_end.isoformat().replace("+00:00", "Z")
    served = gateway.chat(full)
    assert served.status_code == 200
    assert served.headers["x-ratelimit-remaining-5h"] == "1"
    assert served.headers["x-ratelimit-remaining-daily"] == str(mine.plan.daily - 1)
    assert Notice.objects.get(kind="windows_reset").facts["invoice"] == told["invoice"]["number"]
    assert ResetPass.objects.get().price == 4 * DOLLAR
    entry = AuditEntry.objects.get(action="buy reset pass")
    assert (entry.actor, entry.subject) == ("alice@example.com", f"user:{full.user.pk}")
    assert entry.after["paid"] == "4.00"


def test_the_owner_of_a_team_reads_who_bought_it(
    gateway: Gateway, full: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_adapter.send_mail, "delay", mail_adapter.send_mail)
    team = team_of(full)
    bob = joined(team, "bob", "billing")
    assert bob.api().post("/api/subscription/reset", {}, format="json").status_code == 201
    assert AuditEntry.objects.get(action="buy reset pass").actor == "bob@example.com"
    page = team.browser().get("/team/audit").content.decode()
    assert "Bought a reset pass" in page and "bob@example.com" in page


@pytest.mark.both_databases
def test_many_who_buy_it_at_once_pay_once(gateway: Gateway, full: Person) -> None:
    before = ledger.balance(full.user.pk)
    answers = at_once(lambda: buy(full).status_code, 8)
    assert sorted(answers) == [201] + [409] * 7
    assert ledger.balance(full.user.pk) == before - 4 * DOLLAR
    assert ResetPass.objects.count() == Notice.objects.filter(kind="windows_reset").count() == 1


def test_the_same_key_again_answers_what_it_bought(gateway: Gateway, full: Person) -> None:
    client = full.client()
    first, again = (
        client.post("/api/subscription/reset", {}, format="json", HTTP_IDEMPOTENCY_KEY="one")
        for _ in range(2)
    )
    assert first.json()["invoice"] == again.json()["invoice"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert buy(full).json()["error"]["code"] == "reset_pass_used"


@pytest.mark.both_databases
def test_an_account_made_anew_counts_nothing_of_before(gateway: Gateway, full: Person) -> None:
    assert buy(full).status_code == 201
    gateway.books()
    rebuilding.reseed([full.user.pk])
    assert gateway.chat(full).headers["x-ratelimit-remaining-5h"] == "1"
    gateway.books()
    rebuilding.reseed([full.user.pk])
    assert gateway.chat(full).headers["x-ratelimit-remaining-5h"] == "0"
    assert gateway.chat(full).status_code == 429, "a reset window counts as any other"


def test_the_next_period_has_a_pass_of_its_own(gateway: Gateway, full: Person) -> None:
    assert buy(full).status_code == 201
    mine = Subscription.objects.get(user=full.user)
    later = mine.period_end + timedelta(hours=1)
    bought = resets.buy(full.user.pk, now=later)
    assert bought.reset.period_start == mine.period_end
    with pytest.raises(errors.Conflict) as refused:
        resets.buy(full.user.pk, now=later)
    assert refused.value.code == "reset_pass_used"


def test_it_is_sold_where_staff_say_so_to_who_has_a_plan(
    gateway: Gateway, full: Person, bob: Person
) -> None:
    fund(bob, "50")
    assert buy(bob).json()["error"]["code"] == "not_subscribed"
    assert bob.client().get("/api/subscription/reset").json()["unavailable"] == "not_subscribed"
    page = Client()
    page.force_login(bob.user, "allauth.account.auth_backends.AuthenticationBackend")
    assert "Pay as you go has no period" in page.get("/billing/plans").content.decode()
    assert buy(full, price="3.99").json()["error"]["code"] == "price_changed"
    Plan.objects.update(reset_price=0)
    assert buy(full).json()["error"]["code"] == "reset_pass_not_sold"
    assert not ResetPass.objects.exists()


def test_what_the_balance_does_not_cover_resets_nothing(gateway: Gateway, full: Person) -> None:
    Plan.objects.filter(slug="standard").update(reset_price=40 * DOLLAR)
    terms.apply(full.user.pk)
    assert buy(full).status_code == 402
    assert gateway.chat(full).status_code == 429
    assert not ResetPass.objects.exists()


def test_staff_may_refund_it_and_the_period_has_had_it(gateway: Gateway, full: Person) -> None:
    assert buy(full).status_code == 201
    number = Invoice.objects.latest("pk").number
    assert balance_refunds.refundable(full.user.pk)[number] == 4 * DOLLAR
    balance_refunds.refund(
        key="r", user_id=full.user.pk, of=number, amount=4 * DOLLAR, reason="Sorry.", actor="x"
    )
    assert buy(full).json()["error"]["code"] == "reset_pass_used"
    assert gateway.chat(full).status_code == 200


def test_on_the_page(gateway: Gateway, full: Person) -> None:
    client = Client()
    client.force_login(full.user, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get("/billing/plans")
    assert "Reset now for $4.00" in page.content.decode()
    form = page.context["reset_form"]
    sent = {"once": str(form["once"].value()), "shown": str(form["shown"].value())}
    for _ in range(2):
        answer = client.post("/billing/plans/reset", sent, follow=True)
        assert "All windows are empty again" in answer.content.decode()
    assert "The next reset pass is sold from" in answer.content.decode()
    assert gateway.chat(full).status_code == 200
    assert ResetPass.objects.count() == 1 and nanos("4") == ResetPass.objects.get().price
    assert mail.outbox is not None
