"""What codes, invitations and plans bring, and what they cost, from the books."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.utils import timezone

from accounts.models import User
from billing.books import ledger
from billing.payments.models import TopUp
from billing.plans.models import Plan, Subscription
from billing.plans.seed import seed as seed_plans
from billing.rewards import promos
from billing.rewards.models import PromoCode, Referral
from cockpit import growth_reports
from cockpit.figures import Span
from cockpit.reports import Report
from gateway.catalogue.costs.models import VendorPrice
from gateway.usage.models import UsageHour
from gateway.usage.vendor_day import UsageVendorDay
from hontoni import months
from hontoni.money import DOLLAR
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import fund
from tests.world import Person, used

NOW = timezone.now()


def shown(report: Report) -> dict[str, list[str]]:
    """Rows by their first cell."""
    return {row[0].text: [cell.text for cell in row[1:]] for row in report.rows}


def paid(who: Person, dollars: int, at: datetime = NOW) -> None:
    TopUp.objects.create(
        user=who.user, route="checkout", state="paid", amount=dollars * DOLLAR, paid_at=at
    )


def code(**fields: Any) -> PromoCode:
    sold = {"code": "SUMMER", "kind": "credit", "amount": 5 * DOLLAR}
    return PromoCode.objects.create(**sold, valid_from=NOW - timedelta(days=9), **fields)


def test_a_code_by_what_it_brought_and_cost(alice: Person, bob: Person, carol: Person) -> None:
    code()
    for who in (alice, bob):
        confirm(who)
        promos.redeem(who.user.pk, "SUMMER", NOW)
    paid(alice, 20, timezone.now() + timedelta(hours=1))
    paid(bob, 10, NOW - timedelta(days=3))  # before: not because of it
    paid(carol, 10)
    report = shown(growth_reports.promos(Span(NOW, 30)))
    assert report["SUMMER"] == ["2", "2", "1", "50 %", "$20.00", "$10.00"]


def confirm(who: Person) -> None:
    EmailAddress.objects.create(user=who.user, email=who.user.email, verified=True, primary=True)


def test_invitations_as_a_funnel(alice: Person, bob: Person, carol: Person) -> None:
    terms = {"percent": 10, "basis": "top_ups", "hold_days": 1, "most": DOLLAR}
    one = Referral.objects.create(
        referrer=alice.user, invitee=bob.user, confirmed=True, paid=2 * DOLLAR, **terms
    )
    Referral.objects.create(
        referrer=alice.user, invitee=carol.user, confirmed=False, status="review", **terms
    )
    UsageHour.objects.create(user=bob.user, api_key=bob.key, model="gpt-4o", hour=NOW)
    paid(bob, 20)
    report = shown(growth_reports.referrals(Span(NOW, 30)))
    assert report["Invited"] == ["2", "100 %"]
    for step in ("Address confirmed", "Made a request", "Paid", "Under review"):
        assert report[step] == ["1", "50 %"], step
    assert report["Rewards paid"][0] == "$2.00" and one.pk


def test_cohorts_by_the_month_of_their_sign_up(alice: Person, bob: Person, carol: Person) -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    september = datetime(2026, 9, 30, 23, tzinfo=UTC)
    User.objects.filter(pk__in=[alice.user.pk, bob.user.pk]).update(created_at=september)
    User.objects.filter(pk=carol.user.pk).update(created_at=now)
    paid(alice, 5, september)
    for who in (alice, alice, bob):
        paid(who, 5, datetime(2026, 11, 1, tzinfo=UTC))
    report = shown(growth_reports.cohorts(Span(now, 30)))
    assert list(report) == ["2026-11", "2026-09"]
    assert report["2026-09"][:4] == ["2", "1 (50 %)", "0 (0 %)", "2 (100 %)"]
    assert report["2026-11"][:3] == ["1", "0 (0 %)", ""]
    assert months.begin(now).month == 11


def test_a_plan_by_what_it_earns_after_the_vendors(alice: Person, bob: Person) -> None:
    seed_plans()
    used(alice)
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    VendorPrice.objects.filter(model_id="claude-sonnet-4").delete()
    VendorPrice.objects.create(
        model_id="claude-sonnet-4", since=NOW.date(), input=0, output=10 * DOLLAR,
        cache_read=0, cache_write_5m=0, cache_write_1h=0,
    )  # fmt: skip
    for who, tokens in ((alice, 300_000), (bob, 100_000)):
        UsageHour.objects.create(
            user=who.user, api_key=who.key, model="claude-sonnet-4", hour=hour, requests=1,
            output=tokens, cost=5 * DOLLAR,
        )  # fmt: skip
    UsageVendorDay.objects.create(
        day=NOW.date(), vendor="anthropic", credential="a/b", model="claude-sonnet-4",
        part="charged", requests=2, output=400_000, cost=10 * DOLLAR,
    )  # fmt: skip
    fund(alice, "50")
    Subscription.objects.create(
        user=alice.user, plan=Plan.objects.get(slug="basic"), plan_price=6 * DOLLAR,
        period_start=NOW, period_end=NOW + timedelta(days=30),
    )  # fmt: skip
    ledger.post(
        key="plan:1", kind="subscription", user_id=alice.user.pk, amount=-6 * DOLLAR,
        reason="Basic", actor="tests",
    )  # fmt: skip
    report = shown(growth_reports.earnings(Span(timezone.now(), 7)))
    assert report["Basic"][:6] == ["1", "$6.00", "$5.00", "$3.00", "$8.00", "$8.00"]
    assert report["Pay as you go"][:5] == ["1", "$0.00", "$5.00", "$1.00", "$4.00"]


@pytest.mark.parametrize("name", ["promos", "referrals", "cohorts", "earnings"])
@pytest.mark.parametrize("days", [1, 30])
def test_each_has_a_page_that_may_be_empty(alice: Person, name: str, days: int) -> None:
    seed_plans()
    answer = staff("finance").get(f"/admin/reports/{name}?days={days}")
    assert answer.status_code == 200
