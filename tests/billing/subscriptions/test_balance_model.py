"""Any story of one customer's plans, add-ons and months against a pure model of them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.models import User
from accounts.people import freezing
from billing.books import ledger
from billing.books.models import Transfer
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.payments import reconcile
from billing.plans import periods, terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.rewards import promos
from billing.rewards.models import PromoCode
from billing.subscriptions import balance_changes, renewals
from hontoni import errors, redis
from hontoni.money import CENT, nanos
from ratelimits import limiter, rebuilding
from tests.billing.conftest import committed
from tests.confirmed import confirm

pytestmark = committed

PRICES = {"basic": "6", "standard": "13", "premium": "39", "ultimate": "79"}
ADD_ONS = {
    "rate-limit-2x": ("4.99", 2),
    "rate-limit-5x": ("9.99", 5),
    "rate-limit-10x": ("19.99", 10),
}
FREE = "pay-as-you-go"
plans = st.sampled_from(sorted(PRICES))
add_ons = st.sampled_from(sorted(ADD_ONS))

_people = count()


def half_up(amount: Fraction) -> int:
    sign = -1 if amount < 0 else 1
    return sign * int(abs(amount) / CENT + Fraction(1, 2)) * CENT


class Commerce(RuleBasedStateMachine):
    """The model: a plan, an add-on, a period, what is to happen at its end, and a balance."""

    start: datetime
    end: datetime

    @initialize(credit=st.sampled_from(["0", "20", "200"]), warm=st.booleans())
    def world(self, credit: str, warm: bool) -> None:
        self.user = confirm(User.objects.create_user(f"commerce{next(_people)}@example.com"))
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)
        self.trial = PromoCode.objects.create(
            code=f"try{self.user.pk}",
            kind="trial",
            plan=Plan.objects.get(slug="standard"),
            trial_days=14,
            max_uses_per_account=2,
            valid_from=self.now,
        )
        self.balance, self.keys, self.trials = 0, 0, 0
        self.clear()
        if nanos(credit):
            self.top_up(credit)
        if warm:
            wallet = ledger.wallet(self.user.pk)
            rebuilding.seed_sync(
                self.user.pk,
                credits=wallet.credits_total,
                credits_version=wallet.credits_version,
                terms_version=1,
                charged=0,
            )

    def clear(self) -> None:
        self.plan, self.add_on, self.next_plan, self.next_add_on = "", "", "", ""
        self.paid_plan = self.paid_add_on = 0
        self.canceled = self.add_on_ends = self.past_due = self.trying = False

    # -- The model -------------------------------------------------------------------------------

    def coming(self) -> tuple[str, str] | None:
        add_on = "" if self.add_on_ends else self.next_add_on or self.add_on
        plan = self.next_plan or self.plan
        return None if self.canceled or (plan == FREE and not add_on) else (plan, add_on)

    def settle(self) -> None:
        """What beat does by now."""
        while self.plan and self.end <= self.now:
            coming = self.coming()
            if coming is None:
                return self.clear()
            cost = self.price(*coming)
            if cost > self.balance:
                if not self.past_due:
                    self.past_due, self.tried = True, self.now
                elif self.now >= self.tried + timedelta(days=3):
                    self.clear()
                return None
            self.balance -= cost
            self.plan, self.add_on = coming
            self.paid_plan, self.paid_add_on = self.price(coming[0]), self.price("", coming[1])
            self.next_plan, self.next_add_on = "", ""
            self.add_on_ends = self.past_due = self.trying = False
            self.start, self.end = self.end, periods.next_end(self.start, self.end)
        return None

    def price(self, plan: str, add_on: str = "") -> int:
        return nanos(PRICES.get(plan, "0")) + (nanos(ADD_ONS[add_on][0]) if add_on else 0)

    def prorated(self, amount: int) -> int:
        """Of a month's price; a trial is shorter."""
        left = int((self.end - self.now).total_seconds())
        month = max(self.end, periods.first_end(self.start)) - self.start
        return half_up(Fraction(amount * left, int(month.total_seconds())))

    def pay(self, cost: int) -> str:
        if cost > self.balance:
            return "insufficient_balance"
        self.balance -= cost
        return ""

    def open(self) -> None:
        self.start, self.end = self.now, periods.first_end(self.now)

    def change(self, do: Callable[..., Any], *args: Any, expected: str) -> None:
        try:
            do(self.user.pk, *args, now=self.now)
            got = ""
        except errors.ApiError as refused:
            got = refused.code
        assert got == expected

    # -- The stories -----------------------------------------------------------------------------

    @rule(amount=st.sampled_from(["3", "10", "50"]))
    def top_up(self, amount: str) -> None:
        self.keys += 1
        key = f"fund:{self.user.pk}:{self.keys}"
        ledger.post(key=key, kind="topup", user_id=self.user.pk, amount=nanos(amount))
        self.balance += nanos(amount)

    @rule(seconds=st.integers(1, 40 * 86_400), beat=st.booleans())
    def time_passes(self, seconds: int, beat: bool) -> None:
        """Beat may be late; then the next change settles what is due, or the next beat."""
        self.now += timedelta(seconds=seconds)
        if beat:
            self.beat()

    @rule()
    def beat(self) -> None:
        for user_id in renewals.due(self.now):
            renewals.renew(user_id, now=self.now)
        self.settle()

    @rule(seconds=st.integers(1, 40 * 86_400))
    def it_is_frozen_for_a_while(self, seconds: int) -> None:
        """Its time stands still, and nothing happens to it."""
        self.beat()
        still = timedelta(seconds=seconds)
        with mock.patch("accounts.people.freezing.timezone") as clock:
            clock.now.return_value = self.now
            freezing.freeze(self.user.pk, "Abuse.")
            self.now += still
            clock.now.return_value = self.now
            assert self.user.pk not in renewals.due(self.now)
            renewals.renew(self.user.pk, now=self.now)
            freezing.unfreeze(self.user.pk)
        if self.plan:
            self.start, self.end = self.start + still, self.end + still
        if self.past_due:
            self.tried += still

    @rule(slug=plans)
    def subscribe(self, slug: str) -> None:
        self.settle()
        expected = ""
        if not self.plan:
            expected = self.pay(self.price(slug))
            if not expected:
                self.open()
                self.plan, self.paid_plan = slug, self.price(slug)
        elif self.trying and self.plan == slug:
            expected = self.out_of_trial(slug)
        elif self.plan != FREE:
            expected = "already_subscribed"
        else:
            expected = self.go_to(slug)
        self.change(balance_changes.subscribe, Plan.objects.get(slug=slug), expected=expected)

    @rule()
    def redeem_a_trial(self) -> None:
        self.beat()
        if self.trials == 2:
            expected = "promo_code_already_used"
        elif self.plan:
            expected = "promo_code_has_plan"
        else:
            expected, self.trials = "", self.trials + 1
            self.start, self.end = self.now, self.now + timedelta(days=14)
            self.plan, self.canceled, self.trying = "standard", True, True
        self.change(promos.redeem, self.trial.code, expected=expected)

    @rule(slug=plans)
    def upgrade(self, slug: str) -> None:
        self.settle()
        if not self.plan:
            expected = "not_subscribed"
        elif self.trying and self.plan == slug:
            expected = self.out_of_trial(slug)
        elif self.plan == slug:
            expected = "already_subscribed"
        elif self.price(slug) < self.price(self.plan):
            expected = "not_an_upgrade"
        else:
            expected = self.go_to(slug)
        self.change(balance_changes.upgrade, Plan.objects.get(slug=slug), expected=expected)

    def go_to(self, slug: str) -> str:
        if self.past_due:
            return "renewal_unpaid"
        refused = self.pay(self.prorated(self.price(slug) - self.paid_plan))
        if not refused:
            self.plan, self.paid_plan, self.next_plan = slug, self.price(slug), ""
            self.canceled = self.trying = False
        return refused

    def out_of_trial(self, slug: str) -> str:
        if self.past_due:
            return "renewal_unpaid"
        refused = self.pay(self.price(slug, self.add_on) - self.prorated(self.paid_add_on))
        if not refused:
            self.open()
            self.paid_plan, self.paid_add_on = self.price(slug), self.price("", self.add_on)
            self.next_plan, self.next_add_on = "", ""
            self.canceled = self.trying = self.add_on_ends = False
        return refused

    @rule(slug=add_ons)
    def add(self, slug: str) -> None:
        self.settle()
        expected = ""
        if not self.plan:
            expected = self.pay(self.price("", slug))
            if not expected:
                self.open()
                self.plan = FREE
        elif self.add_on == slug:
            expected = "" if self.add_on_ends or self.next_add_on else "add_on_active"
        elif self.price("", slug) < self.paid_add_on:
            return self.add_later(slug)
        elif self.past_due:
            expected = "renewal_unpaid"
        else:
            expected = self.pay(self.prorated(self.price("", slug) - self.paid_add_on))
        if not expected:
            self.add_on, self.next_add_on, self.add_on_ends = slug, "", False
            self.paid_add_on = self.price("", slug)
        return self.change(balance_changes.add, AddOn.objects.get(slug=slug), expected=expected)

    def add_later(self, slug: str) -> None:
        expected = "ends" if self.canceled else ""
        if not expected:
            self.next_add_on, self.add_on_ends = slug, False
        self.change(balance_changes.add, AddOn.objects.get(slug=slug), expected=expected)
        self.settle()

    @rule(slug=plans)
    def downgrade(self, slug: str) -> None:
        self.beat()
        if not self.plan:
            expected = "not_subscribed"
        elif self.plan == slug:
            expected = "already_subscribed"
        elif self.price(slug) >= self.price(self.plan):
            expected = "not_a_downgrade"
        else:
            expected, self.next_plan, self.canceled = "", slug, False
        self.change(balance_changes.downgrade, Plan.objects.get(slug=slug), expected=expected)
        self.settle()

    @rule()
    def cancel(self) -> None:
        expected = "" if self.plan else "not_subscribed"
        self.next_plan, self.next_add_on, self.canceled = "", "", bool(self.plan)
        self.change(balance_changes.cancel, expected=expected)
        if self.plan:
            self.settle()

    @rule()
    def resume(self) -> None:
        self.beat()
        expected = "" if self.plan else "not_subscribed"
        self.next_plan, self.next_add_on = "", ""
        self.canceled = self.add_on_ends = False
        self.change(balance_changes.resume, expected=expected)
        self.settle()

    @rule(slug=add_ons)
    def remove(self, slug: str) -> None:
        self.beat()
        expected = "" if slug in (self.add_on, self.next_add_on) else "not_found"
        if not expected:
            self.next_add_on, self.add_on_ends = "", True
        self.change(balance_changes.remove, AddOn.objects.get(slug=slug), expected=expected)
        self.settle()

    # -- What is always true ---------------------------------------------------------------------

    @invariant()
    def the_balance_is_the_models(self) -> None:
        assert ledger.balance(self.user.pk) == self.balance >= 0
        account = limiter.read_account_sync(self.user.pk)
        if account is not None:
            assert (account.credits, account.held) == (self.balance, 0)

    @invariant()
    def the_terms_are_the_models(self) -> None:
        plan, multiplier = terms.plan_of(self.user.pk)
        assert plan.slug == (self.plan or FREE)
        assert multiplier == (ADD_ONS[self.add_on][1] if self.add_on else 1)
        mine = terms.subscription_of(self.user.pk)
        assert bool(mine) == bool(self.plan)
        if mine is not None:
            assert (mine.period_start, mine.period_end) == (self.start, self.end)
            assert (mine.status == "past_due") == self.past_due

    @invariant()
    def every_payment_has_one_document(self) -> None:
        paid = Transfer.objects.filter(kind="subscription", ref__has_key="subscription")
        ours = paid.filter(invoice__user=self.user)
        total = sum(ours.values_list("invoice__total", flat=True))
        credited = sum(
            Transfer.objects.filter(
                kind="topup", key__startswith=f"fund:{self.user.pk}:"
            ).values_list("amount", flat=True)
        )
        assert credited - total == self.balance
        assert not paid.filter(invoice=None).exists()

    def teardown(self) -> None:
        assert reconcile.problems() == []
        for series in set(Invoice.objects.values_list("series__name", flat=True)):
            issued = Invoice.objects.filter(series__name=series).order_by("sequence")
            numbers = list(issued.values_list("sequence", flat=True))
            assert numbers == list(range(1, len(numbers) + 1))
        ended = Subscription.objects.filter(user=self.user, status="ended").count()
        assert Notice.objects.filter(user=self.user, kind="plan_ended").count() == ended


def test_commerce() -> None:
    redis.sync().flushall()
    run_state_machine_as_test(
        Commerce,
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
