from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from billing import tasks
from billing.books import ledger
from billing.books.models import AuditEntry
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.plans import terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.plans.periods import GRACE
from billing.subscriptions import balance_changes, renewals
from hontoni import errors
from hontoni.money import CENT, dollars, nanos
from tests.billing.conftest import client, committed
from tests.billing.plans.test_terms import announced

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
END = datetime(2026, 12, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def plan(slug: str) -> Plan:
    return Plan.objects.get(slug=slug)


def add_on(slug: str) -> AddOn:
    return AddOn.objects.get(slug=slug)


def fund(user: User, amount: str) -> None:
    key = f"fund:{ledger.wallet(user.pk).credits_version}"
    ledger.post(key=key, kind="sandbox", user_id=user.pk, amount=nanos(amount))


def balance(user: User) -> str:
    return dollars(ledger.balance(user.pk))


def subscribed(user: User, slug: str = "basic") -> Subscription:
    return balance_changes.subscribe(user.pk, plan(slug), now=START).subscription


def told(user: User) -> list[str]:
    return list(Notice.objects.filter(user=user).order_by("pk").values_list("kind", flat=True))


def facts(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = Notice.objects.get(kind=kind).facts
    return found


def test_a_paid_renewal_begins_where_the_last_period_ended(alice: User) -> None:
    fund(alice, "10")
    mine = subscribed(alice)
    renewals.renew(alice.pk, now=END + 2 * SECOND)
    mine.refresh_from_db()
    assert (mine.period_start, mine.period_end) == (END, datetime(2027, 1, 22, 12, tzinfo=UTC))
    assert (mine.status, balance(alice)) == ("active", "8.00")
    assert told(alice) == ["plan_started", "plan_renewed"]
    assert facts("plan_renewed") == {
        "plan": "Basic",
        "add_on": None,
        "paid": "6.00",
        "invoice": "INV-2026-000002",
        "renews_at": "2027-01-22T12:00:00+00:00",
    }


def test_nothing_is_renewed_before_its_time(alice: User) -> None:
    subscribed(alice)
    renewals.renew(alice.pk, now=END - SECOND)
    assert renewals.due(END - SECOND) == []
    assert renewals.due(END) == [alice.pk]
    assert balance(alice) == "4.00"


def test_a_price_that_fell_binds_the_next_renewal(alice: User) -> None:
    fund(alice, "10")
    subscribed(alice)
    Plan.objects.filter(slug="basic").update(price=nanos("5"))
    renewals.renew(alice.pk, now=END)
    assert balance(alice) == "9.00"


def test_missed_periods_are_paid_one_by_one(alice: User) -> None:
    fund(alice, "50")
    mine = subscribed(alice)
    renewals.renew(alice.pk, now=datetime(2027, 2, 1, tzinfo=UTC))
    mine.refresh_from_db()
    assert mine.period_end == datetime(2027, 2, 22, 12, tzinfo=UTC)
    assert balance(alice) == "42.00"


def test_an_unpaid_renewal_goes_on_in_grace(alice: User) -> None:
    mine = subscribed(alice)
    for minute in range(3):  # and is told once
        renewals.renew(alice.pk, now=END + timedelta(minutes=minute))
    mine.refresh_from_db()
    assert (mine.status, mine.period_end, balance(alice)) == ("past_due", END, "4.00")
    assert terms.plan_of(alice.pk)[0].slug == "basic"
    assert told(alice) == ["plan_started", "plan_renewal_failed"]
    assert facts("plan_renewal_failed") == {
        "plan": "Basic",
        "add_on": None,
        "amount": "6.00",
        "balance": "4.00",
        "enough": False,
        "grace_until": "2026-12-25T12:00:00+00:00",
    }


def test_the_grace_counts_from_the_first_try_however_late(alice: User) -> None:
    """The worker was down for four days."""
    mine = subscribed(alice)
    first = END + timedelta(days=4)
    assert renewals.due(first) == [alice.pk]
    renewals.renew(alice.pk, now=first)
    mine.refresh_from_db()
    assert (mine.status, terms.plan_of(alice.pk)[0].slug) == ("past_due", "basic")
    assert facts("plan_renewal_failed")["grace_until"] == (first + GRACE).isoformat()
    renewals.renew(alice.pk, now=first + GRACE - SECOND)
    assert renewals.due(first + GRACE - SECOND) == []
    assert renewals.due(first + GRACE) == [alice.pk]
    renewals.renew(alice.pk, now=first + GRACE)
    mine.refresh_from_db()
    assert (mine.status, balance(alice)) == ("ended", "4.00")
    assert told(alice) == ["plan_started", "plan_renewal_failed", "plan_ended"]
    assert facts("plan_ended")["reason"] == "unpaid"


def test_a_late_renewal_that_can_be_paid_is_paid_once(
    alice: User, at_once: Callable[..., Any]
) -> None:
    fund(alice, "6")
    mine = subscribed(alice)
    at_once(lambda _: renewals.renew(alice.pk, now=END + timedelta(days=4)), 8)
    mine.refresh_from_db()
    assert (mine.status, mine.period_start, balance(alice)) == ("active", END, "4.00")
    assert told(alice) == ["plan_started", "plan_renewed"]


def test_a_grace_that_began_before_it_was_noted_ends_as_it_was_told(alice: User) -> None:
    subscribed(alice)
    renewals.renew(alice.pk, now=END)
    Subscription.objects.update(past_due_since=None)
    assert renewals.due(END + GRACE - SECOND) == []
    renewals.renew(alice.pk, now=END + GRACE)
    assert terms.subscription_of(alice.pk) is None


def test_it_is_tried_again_when_money_arrives(alice: User) -> None:
    mine = subscribed(alice)
    renewals.renew(alice.pk, now=END)
    later = END + timedelta(days=1)
    assert renewals.due(later) == []
    fund(alice, "2")
    assert renewals.due(later) == [alice.pk]
    renewals.renew(alice.pk, now=later)
    mine.refresh_from_db()
    assert (mine.status, mine.period_start, balance(alice)) == ("active", END, "0.00")


@committed
def test_after_the_grace_the_default_plan_holds(alice: User) -> None:
    mine = subscribed(alice, "basic")
    renewals.renew(alice.pk, now=END)
    over = END + GRACE
    assert renewals.due(over - SECOND) == []
    assert renewals.due(over) == [alice.pk]
    before = announced(alice)
    renewals.renew(alice.pk, now=over)
    mine.refresh_from_db()
    assert (mine.status, mine.ended_at, balance(alice)) == ("ended", over, "4.00")
    assert terms.plan_of(alice.pk)[0].slug == "pay-as-you-go"
    assert announced(alice) == before + 1
    assert facts("plan_ended")["reason"] == "unpaid"
    assert renewals.due(over + GRACE) == []


def test_a_cancelled_plan_ends_with_its_period(alice: User) -> None:
    fund(alice, "10")
    mine = subscribed(alice)
    balance_changes.cancel(alice.pk, now=START)
    renewals.renew(alice.pk, now=END)
    mine.refresh_from_db()
    assert (mine.status, balance(alice)) == ("ended", "14.00")
    assert facts("plan_ended")["reason"] == "canceled"
    again = subscribed(alice)
    assert again.pk != mine.pk


def test_cancelling_in_grace_ends_it_now(alice: User) -> None:
    mine = subscribed(alice)
    renewals.renew(alice.pk, now=END)
    assert balance_changes.cancel(alice.pk, now=END + SECOND).status == "ended"
    mine.refresh_from_db()
    assert (mine.ended_at, balance(alice)) == (END + SECOND, "4.00")


def test_a_downgrade_takes_effect_with_the_renewal(alice: User) -> None:
    fund(alice, "40")
    subscribed(alice, "premium")
    balance_changes.downgrade(alice.pk, plan("basic"), now=START)
    renewals.renew(alice.pk, now=END)
    alice.refresh_from_db()
    assert (terms.plan_of(alice.pk)[0].slug, alice.key_cap) == ("basic", 5)
    assert balance(alice) == "5.00"


def test_in_grace_a_cheaper_plan_can_be_chosen_and_is_paid_at_once(alice: User) -> None:
    fund(alice, "10")
    mine = subscribed(alice, "standard")
    renewals.renew(alice.pk, now=END)
    balance_changes.downgrade(alice.pk, plan("basic"), now=END + SECOND)
    mine.refresh_from_db()
    assert (mine.status, mine.plan.slug, balance(alice)) == ("active", "basic", "1.00")


def test_in_grace_nothing_else_is_sold(alice: User) -> None:
    subscribed(alice)
    renewals.renew(alice.pk, now=END)
    for change, sold in ((balance_changes.upgrade, plan("standard")),):
        with pytest.raises(errors.PaymentRequired) as refused:
            change(alice.pk, sold, now=END + SECOND)
        assert refused.value.code == "renewal_unpaid"
    with pytest.raises(errors.PaymentRequired) as refused:
        balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=END + SECOND)
    assert refused.value.code == "renewal_unpaid"


def test_a_change_after_the_period_pays_the_renewal_first(alice: User) -> None:
    fund(alice, "100")
    mine = subscribed(alice)
    balance_changes.upgrade(alice.pk, plan("standard"), now=END)
    mine.refresh_from_db()
    assert (mine.period_start, balance(alice)) == (END, "91.00")


def test_limits_are_not_rented_by_the_second(alice: User) -> None:
    """2x, 10x, and back within minutes: the difference is paid in full."""
    fund(alice, "40")
    subscribed(alice)
    minutes = iter(START + timedelta(minutes=n) for n in range(1, 9))
    for slug in ("rate-limit-2x", "rate-limit-10x", "rate-limit-2x", "rate-limit-5x"):
        balance_changes.add(alice.pk, add_on(slug), now=next(minutes))
    assert terms.plan_of(alice.pk)[1] == 10
    assert balance(alice) == "24.01"  # 50 less 6, 4.99 and 15.00
    balance_changes.remove(alice.pk, add_on("rate-limit-10x"), now=next(minutes))
    balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=next(minutes))
    balance_changes.cancel(alice.pk, now=next(minutes))
    with pytest.raises(errors.Conflict) as refused:
        balance_changes.add(alice.pk, add_on("rate-limit-5x"), now=next(minutes))
    assert refused.value.code == "ends"
    assert (terms.plan_of(alice.pk)[1], balance(alice)) == (10, "24.01")
    assert not Invoice.objects.filter(kind="credit_note").exists()


def test_a_smaller_add_on_is_what_renews(alice: User) -> None:
    fund(alice, "40")
    subscribed(alice)
    balance_changes.add(alice.pk, add_on("rate-limit-10x"), now=START)
    balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=START)
    balance_changes.upgrade(alice.pk, plan("standard"), now=START)
    mine = terms.subscription_of(alice.pk)
    assert mine is not None and mine.next_add_on == add_on("rate-limit-2x")
    assert (terms.plan_of(alice.pk)[1], balance(alice)) == (10, "17.01")
    fund(alice, "0.98")
    renewals.renew(alice.pk, now=END)
    assert (terms.plan_of(alice.pk)[1], balance(alice)) == (2, "0.00")  # 13 and 4.99


def test_a_smaller_add_on_that_is_waiting_can_be_given_up(alice: User) -> None:
    fund(alice, "40")
    subscribed(alice)
    balance_changes.add(alice.pk, add_on("rate-limit-10x"), now=START)
    balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=START)
    mine = balance_changes.remove(alice.pk, add_on("rate-limit-2x"), now=START)
    assert (mine.add_on_ends, mine.next_add_on) == (True, None)
    renewals.renew(alice.pk, now=END)
    assert (terms.plan_of(alice.pk)[1], balance(alice)) == (1, "18.01")


def test_in_grace_a_smaller_add_on_can_be_chosen_and_is_paid_at_once(alice: User) -> None:
    fund(alice, "30")
    subscribed(alice)
    balance_changes.add(alice.pk, add_on("rate-limit-10x"), now=START)
    renewals.renew(alice.pk, now=END)
    balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=END + SECOND)
    mine = terms.subscription_of(alice.pk)
    assert mine is not None and mine.status == "active"
    assert (terms.plan_of(alice.pk)[1], balance(alice)) == (2, "3.02")


def test_what_the_list_lost_since_is_not_credited_by_an_upgrade(alice: User) -> None:
    fund(alice, "50")
    subscribed(alice, "premium")
    Plan.objects.filter(slug="premium").update(price=nanos("5"))
    Plan.objects.filter(slug="ultimate").update(price=nanos("20"))
    balance_changes.upgrade(alice.pk, plan("ultimate"), now=START + timedelta(minutes=1))
    assert balance(alice) == "21.00"
    assert not Invoice.objects.filter(kind="credit_note").exists()


def test_an_upgrade_of_what_was_cancelled_renews(alice: User) -> None:
    fund(alice, "50")
    subscribed(alice)
    balance_changes.cancel(alice.pk, now=START)
    balance_changes.upgrade(alice.pk, plan("standard"), now=START)
    renewals.renew(alice.pk, now=END)
    assert (terms.plan_of(alice.pk)[0].slug, balance(alice)) == ("standard", "34.00")


def test_what_is_charged_is_a_whole_number_of_cents(alice: User) -> None:
    fund(alice, "50")
    subscribed(alice)
    bought = balance_changes.add(
        alice.pk, add_on("rate-limit-5x"), now=START + timedelta(seconds=9)
    )
    assert bought.invoice is not None and bought.transfer is not None
    assert (bought.paid, bought.transfer.amount) == (nanos("9.99"), nanos("9.99"))
    later = START + timedelta(days=7, seconds=11)
    bought = balance_changes.upgrade(alice.pk, plan("premium"), now=later)
    assert bought.invoice is not None
    for line in bought.invoice.lines:
        assert line["amount"] % CENT == 0
    assert balance(alice) == "18.71"


def test_an_add_on_that_ends_leaves_the_plan(alice: User) -> None:
    fund(alice, "20")
    subscribed(alice)
    balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=START)
    balance_changes.remove(alice.pk, add_on("rate-limit-2x"), now=START)
    renewals.renew(alice.pk, now=END)
    found, multiplier = terms.plan_of(alice.pk)
    assert (found.slug, multiplier, balance(alice)) == ("basic", 1, "13.01")


def test_an_add_on_alone_is_renewed_and_ends(alice: User) -> None:
    mine = balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=START).subscription
    renewals.renew(alice.pk, now=END)
    assert balance(alice) == "0.02"
    balance_changes.remove(alice.pk, add_on("rate-limit-2x"), now=END)
    mine.refresh_from_db()
    renewals.renew(alice.pk, now=mine.period_end)
    mine.refresh_from_db()
    assert (mine.status, terms.plan_of(alice.pk)[1]) == ("ended", 1)


@pytest.mark.parametrize(("day", "paid"), [(0, "33"), (15, "16.50"), (29, "1.10")])
def test_an_upgrade_pays_by_the_day(alice: User, day: int, paid: str) -> None:
    """November's period has 30 days, and Premium costs $33 more than Basic."""
    fund(alice, "50")
    subscribed(alice)
    outcome = balance_changes.upgrade(alice.pk, plan("premium"), now=START + timedelta(days=day))
    assert outcome.transfer is not None
    assert outcome.transfer.amount == nanos(paid)


def test_what_was_paid_counts_and_not_the_list_of_today(alice: User) -> None:
    fund(alice, "50")
    subscribed(alice)
    Plan.objects.filter(slug="basic").update(price=nanos("30"))
    outcome = balance_changes.upgrade(alice.pk, plan("premium"), now=START + timedelta(days=15))
    assert outcome.transfer is not None
    assert outcome.transfer.amount == nanos("16.50")


# -- Before --------------------------------------------------------------------------------------


def test_a_renewal_is_announced_once_three_days_before(alice: User) -> None:
    subscribed(alice)
    assert renewals.announce(END - timedelta(days=3, seconds=1)) == 0
    for hour in range(2):
        assert renewals.announce(END - timedelta(days=3 - hour)) == 1
    assert told(alice) == ["plan_started", "plan_renewal_soon"]
    assert facts("plan_renewal_soon") == {
        "plan": "Basic",
        "add_on": None,
        "amount": "6.00",
        "balance": "4.00",
        "enough": False,
        "renews_at": END.isoformat(),
    }


def test_what_ends_is_not_announced_as_a_renewal(alice: User) -> None:
    subscribed(alice)
    balance_changes.cancel(alice.pk, now=START)
    renewals.announce(END - SECOND)
    assert told(alice) == ["plan_started"]


# -- By staff ------------------------------------------------------------------------------------


def test_staff_end_a_subscription_and_credit_the_rest(alice: User) -> None:
    fund(alice, "10")
    subscribed(alice)
    balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=START)
    middle = START + timedelta(days=15)
    ended = balance_changes.end_now(alice.pk, now=middle, actor="staff@example.com")
    assert (ended.status, ended.ended_at) == ("ended", middle)
    assert balance(alice) == "14.51"
    note = Invoice.objects.get(kind="credit_note")
    assert (note.total, note.credits) == (-nanos("5.50"), ["INV-2026-000001", "INV-2026-000002"])
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject) == ("end subscription", f"user:{alice.pk}")
    assert entry.after == {"credited": "5.50"}
    assert facts("plan_ended")["credited"] == "5.50"


# -- Tasks ---------------------------------------------------------------------------------------


def test_the_task_renews_what_is_due(alice: User, bob: User) -> None:
    fund(alice, "10")
    mine = subscribed(alice)
    fund(bob, "6")
    theirs = subscribed(bob)
    past = timezone.now() - timedelta(days=32)
    Subscription.objects.update(period_start=past, period_end=timezone.now() - SECOND)
    assert tasks.renew_subscriptions() == 2
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.status, theirs.status) == ("active", "past_due")


def test_one_accounts_trouble_is_not_the_others(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund(bob, "6")
    mine, theirs = subscribed(alice), subscribed(bob)
    past = timezone.now() - timedelta(days=32)
    Subscription.objects.update(period_start=past, period_end=timezone.now() - SECOND)
    unpaid = renewals._unpaid

    def trouble(subscription: Subscription, *args: Any, **kwargs: Any) -> None:
        if subscription.user_id == alice.pk:
            raise ZeroDivisionError
        unpaid(subscription, *args, **kwargs)

    monkeypatch.setattr(renewals, "_unpaid", trouble)
    assert tasks.renew_subscriptions() == 2
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.status, theirs.status) == ("active", "past_due")


def test_the_task_announces(alice: User) -> None:
    subscribed(alice)
    Subscription.objects.update(period_end=timezone.now() + timedelta(days=1))
    assert tasks.announce_renewals() == 1


def test_grace_is_shown(alice: User) -> None:
    subscribed(alice)
    renewals.renew(alice.pk, now=END)
    period = client(alice).get("/api/subscription").json()["period"]
    assert (period["status"], period["grace_until"]) == ("past_due", "2026-12-25T12:00:00Z")
