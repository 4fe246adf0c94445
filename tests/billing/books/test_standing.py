"""Accounts that are closed, frozen or switched off, and money that renews."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.people import freezing
from accounts.sign_in import deletion
from billing import tasks
from billing.books.models import Transfer
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.payments import pauses
from billing.payments.tasks import renew_by_card
from billing.plans import terms
from billing.plans.models import Subscription
from billing.rewards import promos
from billing.subscriptions import balance_changes, renewals
from hontoni import errors
from hontoni.money import dollars, nanos
from tests.billing.api.test_balance_api import error
from tests.billing.conftest import client, committed
from tests.billing.rewards.test_promos import trial
from tests.billing.subscriptions.test_renewals import (
    END,
    START,
    add_on,
    balance,
    fund,
    plan,
    subscribed,
    told,
)

DAY = timedelta(days=1)


def post(user: User, path: str, **body: Any) -> Any:
    headers = {"Idempotency-Key": path}
    return client(user).post(f"/api/{path}", body, format="json", headers=headers)


def live(user: User) -> Subscription | None:
    return terms.subscription_of(user.pk)


def frozen(user: User, at: datetime, until: datetime) -> None:
    """Was frozen for that long."""
    freezing.freeze(user.pk, "Abuse.")
    ago = timezone.now() - (until - at)
    User.objects.filter(pk=user.pk).update(frozen_at=ago)
    freezing.unfreeze(user.pk)


def test_a_deleted_account_is_never_charged_again(alice: User) -> None:
    mine = subscribed(alice)
    deletion.delete(alice)
    mine.refresh_from_db()
    assert mine.status == "ended"
    assert renewals.due(END + 2 * DAY) == []
    renewals.renew(alice.pk, now=END + 2 * DAY)
    assert (balance(alice), Invoice.objects.count()) == ("4.00", 1)
    assert told(alice) == ["plan_started"]


def test_an_account_that_is_switched_off_is_not_charged_and_loses_its_plan(alice: User) -> None:
    mine = subscribed(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    renewals.renew(alice.pk, now=END)
    assert (balance(alice), renewals.due(END)) == ("4.00", [])
    renew_by_card()
    mine.refresh_from_db()
    assert (mine.status, told(alice)) == ("ended", ["plan_started"])


def test_a_frozen_account_is_left_alone(alice: User) -> None:
    fund(alice, "50")
    subscribed(alice)
    freezing.freeze(alice.pk, "Abuse.")
    for day in range(-3, 6):
        now = END + day * DAY
        renewals.announce(now)
        assert renewals.due(now) == []
        renewals.renew(alice.pk, now=now)
    mine = live(alice)
    assert mine is not None and (mine.status, mine.period_end) == ("active", END)
    assert (balance(alice), told(alice)) == ("54.00", ["plan_started"])


@pytest.mark.parametrize("days", [1, 12, 40])
def test_nobody_pays_for_the_time_he_was_frozen(alice: User, days: int) -> None:
    fund(alice, "50")
    subscribed(alice)
    began = timezone.now() - 10 * DAY - timedelta(days=days)  # ten days of it were used
    Subscription.objects.update(period_start=began, period_end=began + 30 * DAY)
    frozen(alice, began + 10 * DAY, timezone.now())
    mine = live(alice)
    assert mine is not None
    assert abs(mine.period_end - timezone.now() - 20 * DAY) < timedelta(minutes=1)
    assert tasks.renew_subscriptions() == 0
    renewals.renew(alice.pk, now=mine.period_end)
    after = live(alice)
    assert after is not None and after.period_start == mine.period_end
    assert balance(alice) == "48.00"


def test_a_grace_that_is_frozen_goes_on_when_it_is_thawed(alice: User) -> None:
    mine = subscribed(alice)
    over = timezone.now() - 10 * DAY
    Subscription.objects.update(period_start=over - 30 * DAY, period_end=over)
    renewals.renew(alice.pk, now=over + DAY)
    frozen(alice, over + 2 * DAY, timezone.now())
    mine.refresh_from_db()
    assert mine.status == "past_due"
    assert abs(mine.grace_until - timezone.now() - 2 * DAY) < timedelta(minutes=1)


def test_a_freeze_that_comes_between_stops_a_renewal(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed(alice)
    fund(alice, "6")
    real = renewals.locked

    def overtaken(user_id: int) -> Subscription | None:
        freezing.freeze(user_id, "Abuse.")
        return real(user_id)

    monkeypatch.setattr(renewals, "locked", overtaken)
    renewals.renew(alice.pk, now=END)
    assert balance(alice) == "10.00"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("subscription", {"plan": "basic"}),
        ("subscription", {"plan": "basic", "payment_method": "stripe"}),
        ("subscription/upgrade", {"plan": "ultimate"}),
        ("addons", {"add_on": "rate-limit-2x"}),
        ("billing/topup", {"amount": "10"}),
        ("billing/promo-code", {"code": "TRY", "apply": True}),
        ("subscription/payment-method", {"payment_method": "stripe"}),
    ],
)
def test_a_frozen_account_pays_in_nothing_and_buys_nothing(
    alice: User, path: str, body: dict[str, Any]
) -> None:
    trial()
    freezing.freeze(alice.pk, "Abuse.")
    refused = post(alice, path, **body)
    assert error(refused) == (403, "account_frozen")
    assert "Abuse." in refused.json()["error"]["message"]
    assert (balance(alice), Subscription.objects.count()) == ("10.00", 0)


def test_a_frozen_account_may_still_cancel(alice: User) -> None:
    subscribed(alice)
    freezing.freeze(alice.pk, "Abuse.")
    assert post(alice, "subscription/cancel").status_code == 200
    assert post(alice, "subscription/resume").status_code == 200


def test_the_last_word_is_the_purchases(alice: User) -> None:
    """Whoever comes by another door is refused under the lock of the account."""
    freezing.freeze(alice.pk, "Abuse.")
    with pytest.raises(errors.Forbidden):
        balance_changes.subscribe(alice.pk, plan("basic"), now=START)
    assert not Transfer.objects.filter(kind="subscription").exists()


def test_staff_may_give_back_to_a_frozen_account(alice: User) -> None:
    subscribed(alice)
    freezing.freeze(alice.pk, "Abuse.")
    balance_changes.end_now(alice.pk, now=START, actor="staff@example.com")
    assert balance(alice) == "10.00"


def test_a_trial_of_a_frozen_account_stands_still(bob: User) -> None:
    trial()
    promos.redeem(bob.pk, "TRY", timezone.now())
    freezing.freeze(bob.pk, "Abuse.")
    renewals.renew(bob.pk, now=timezone.now() + 20 * DAY)
    assert told(bob) == ["promo"]
    User.objects.filter(pk=bob.pk).update(frozen_at=timezone.now() - 3 * DAY)
    Subscription.objects.update(
        period_start=timezone.now() - 5 * DAY, period_end=timezone.now() + 9 * DAY
    )
    freezing.unfreeze(bob.pk)
    mine = live(bob)
    assert mine is not None
    assert abs(mine.period_end - timezone.now() - 12 * DAY) < timedelta(minutes=1)


@committed
def test_a_race_of_thaws_moves_the_period_once(alice: User, at_once: Any) -> None:
    subscribed(alice)
    start = timezone.now() - 5 * DAY
    Subscription.objects.update(period_start=start, period_end=start + 30 * DAY)
    freezing.freeze(alice.pk, "Abuse.")
    User.objects.filter(pk=alice.pk).update(frozen_at=timezone.now() - 2 * DAY)
    assert sum(at_once(lambda _: freezing.unfreeze(alice.pk), 8)) == 1
    mine = live(alice)
    assert mine is not None
    assert abs(mine.period_end - start - 32 * DAY) < timedelta(minutes=1)


def test_the_books_of_a_closed_account_say_what_it_paid(alice: User) -> None:
    fund(alice, "10")
    subscribed(alice)
    balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=START)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert pauses.left_over() == [alice.pk]
    pauses.sweep(now=timezone.now())
    assert pauses.left_over() == []
    renewals.renew(alice.pk, now=datetime(2027, 6, 1, tzinfo=UTC))
    assert balance(alice) == dollars(nanos("20") - nanos("6") - nanos("4.99"))
    assert not Notice.objects.filter(kind="plan_ended").exists()
