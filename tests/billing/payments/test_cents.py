"""Whatever is not usage is whole cents, and quote, invoice and ledger say the same ones."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from accounts.models import User
from billing.books import ledger
from billing.books.models import Transfer
from billing.invoices.models import Invoice
from billing.payments import funding
from billing.plans import quotes, terms
from billing.plans.models import AddOn, Plan
from billing.rewards import promos
from billing.rewards.models import PromoCode, Redemption
from billing.subscriptions import balance_changes
from hontoni.money import CENT, dollars, nanos
from tests.billing.conftest import client, committed

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@committed
@pytest.mark.parametrize("seconds", [1, 2, 86_399, 777_777, 1_300_001, 2_591_998])
def test_a_change_within_a_period_is_quoted_invoiced_and_charged_in_cents(
    alice: User, seconds: int
) -> None:
    ledger.post(key="f", kind="sandbox", user_id=alice.pk, amount=nanos("190"))
    balance_changes.subscribe(alice.pk, Plan.objects.get(slug="basic"), now=NOW)
    now = NOW + timedelta(seconds=seconds)
    for slug in ("rate-limit-5x", "rate-limit-10x"):
        add_on = AddOn.objects.get(slug=slug)
        before = ledger.balance(alice.pk)
        quoting = partial(quotes.add, add_on=add_on, default=terms.default_plan(), now=now)
        quote = balance_changes.preview(alice.pk, quoting)
        outcome = balance_changes.add(alice.pk, add_on, now=now)
        taken = before - ledger.balance(alice.pk)
        assert quote.due_now == outcome.paid == taken
        assert all(line.amount % CENT == 0 for line in quote.lines)
    listed = client(alice).get("/api/billing/invoices").json()["results"]
    assert sorted(row["total"] for row in listed) == sorted(
        dollars(total) for total in Invoice.objects.values_list("total", flat=True)
    )
    assert not [t for t in Transfer.objects.all() if t.amount % CENT]


def test_a_bonus_is_whole_cents_whatever_part_of_its_top_up_goes_back(bob: User) -> None:
    PromoCode.objects.create(
        code="MORE", kind="percent", amount=0, percent=15, valid_from=NOW - timedelta(days=1)
    )
    promos.redeem(bob.pk, "MORE", NOW)
    paid, _ = funding.credit(key="topup:pi_1", kind="topup", user_id=bob.pk, amount=nanos("25.55"))
    assert Redemption.objects.get().granted == nanos("3.83")  # 3.8325, rounded down
    for part in ("10", "0.01", "15.54"):
        funding.take_back(
            key=f"refund:{part}",
            kind="refund",
            user_id=bob.pk,
            top_up=paid,
            amount=nanos(part),
        )
        assert Redemption.objects.get().granted % CENT == 0
    assert ledger.balance(bob.pk) == 0
