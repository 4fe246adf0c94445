"""Any story of plans and add-ons paid by Stripe, told badly, against a pure model of them."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.models import User
from billing.books import ledger
from billing.mails.models import Notice
from billing.payments import funding, inbox, reconcile
from billing.plans import periods, terms
from billing.plans.models import Plan, Subscription
from billing.rewards.models import PromoCode
from billing.stripe.models import Quarantine, StripeEvent
from billing.subscriptions import arrangements, renewals
from billing.subscriptions.models import PlanOrder
from hontoni import redis
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.payments.test_top_up_model import knobs
from tests.billing.shop import Shop
from tests.confirmed import confirm

pytestmark = committed

PRICES = {"pay-as-you-go": 0, "basic": 600, "standard": 1300, "premium": 3900, "ultimate": 7900}
MULTIPLIERS = {"": 1, "rate-limit-2x": 2, "rate-limit-5x": 5, "rate-limit-10x": 10}
FREE = "pay-as-you-go"
BAD, GOOD = "pm_card_chargeCustomerFail", "pm_card_visa"
plans = st.sampled_from(["basic", "standard", "premium", "ultimate"])
add_ons = st.sampled_from(["rate-limit-2x", "rate-limit-5x", "rate-limit-10x"])


class Plans(RuleBasedStateMachine):
    """The model: a plan, an add-on, what is to happen at the period's end, and a card.

    Whatever asks Stripe first (every change does) must find the model's state; in between we may
    be late (`late`), and never wrong once we have heard.
    """

    shop: Shop

    @initialize()
    def world(self) -> None:
        redis.sync().flushall()
        self.shop.knobs()
        self.user = confirm(User.objects.create_user(f"{uuid.uuid4().hex}@example.com"))
        self.gift = PromoCode.objects.create(
            code=uuid.uuid4().hex,
            kind="credit",
            amount=nanos("5"),
            max_uses=2,
            max_uses_per_account=10,
            valid_from=timezone.now() - timedelta(days=1),
        )
        self.trial = PromoCode.objects.create(
            code=uuid.uuid4().hex,
            kind="trial",
            plan=Plan.objects.get(slug="standard"),
            trial_days=14,
            max_uses_per_account=100,
            valid_from=timezone.now() - timedelta(days=1),
        )
        self.cards = {card: self.shop.saved_card(self.user, card) for card in (GOOD, BAD)}
        self.started = self.ended = self.renewed = self.given = self.funds = 0
        self.page = ""
        self.clear()

    def clear(self) -> None:
        self.plan, self.add_on, self.next_plan, self.next_add_on = "", "", "", ""
        self.canceled = self.add_on_ends = self.past_due = self.bad = self.late = False

    def end(self) -> None:
        self.clear()
        self.ended += 1

    def begin(self, plan: str, add_on: str) -> None:
        self.plan, self.add_on = plan, add_on
        self.started += 1

    def ask(self, path: str, expected: int | str, **body: Any) -> None:
        """Post it; a number is the status, a text the code of the refusal."""
        answer = self.shop.api(self.user).post(f"/api/{path}", body)
        got: int | str = answer.status_code
        if answer.status_code >= 400:
            got = answer.json()["error"]["code"]
        assert got == expected, (path, body, answer.content)
        self.late = False

    def mine(self) -> Subscription:
        found = terms.subscription_of(self.user.pk)
        assert found is not None
        return found

    # -- Customers -------------------------------------------------------------------------------

    @rule(slug=plans, paid=st.booleans())
    def subscribe_on_the_page(self, slug: str, paid: bool) -> None:
        if self.plan:
            return self.subscribe(slug, GOOD)
        answer = self.shop.api(self.user).post(
            "/api/subscription", {"plan": slug, "payment_method": "stripe"}
        )
        assert answer.status_code == 202
        self.page = answer.json()["payment_url"]
        if paid:
            self.shop.stripe.browser.post(self.page, data={"card": GOOD})
            self.begin(slug, "")
            self.late = True
        return None

    @precondition(lambda self: self.page)
    @rule()
    def an_old_page_sells_nothing(self) -> None:
        """Paid, or closed by the order after it; an open one may still be paid."""
        page = self.page.rsplit("/", 1)[1]
        state = self.shop.stripe.stripe.checkout.sessions.retrieve(page).status
        if not self.plan and state == "open":
            return
        answer = self.shop.stripe.browser.post(self.page, data={"card": GOOD})
        assert "Location" not in answer.headers or state == "complete" or self.plan

    @rule(slug=plans, card=st.sampled_from([GOOD, BAD]))
    def subscribe(self, slug: str, card: str) -> None:
        body = {"plan": slug, "payment_method": "stripe", "card": self.cards[card]}
        if not self.plan:
            self.ask("subscription", 201 if card == GOOD else "generic_decline", **body)
            if card == GOOD:
                self.begin(slug, "")
        elif self.plan != FREE:
            self.ask("subscription", "already_subscribed", **body)
        else:
            self.ask("subscription", self.go_to(slug), **body)

    def go_to(self, slug: str) -> int | str:
        if self.past_due:
            return "renewal_unpaid"
        self.next_plan, self.canceled = "", False
        if self.bad:
            return 202
        self.plan = slug
        return 201

    @rule(slug=plans)
    def upgrade(self, slug: str) -> None:
        if not self.plan:
            expected: int | str = "not_subscribed"
        elif self.plan == slug:
            expected = "already_subscribed"
        elif PRICES[slug] < PRICES[self.plan]:
            expected = "not_an_upgrade"
        else:
            expected = self.go_to(slug)
        self.ask("subscription/upgrade", expected, plan=slug)

    @rule(slug=plans)
    def downgrade(self, slug: str) -> None:
        if not self.plan:
            expected: int | str = "not_subscribed"
        elif self.plan == slug:
            expected = "already_subscribed"
        elif PRICES[slug] >= PRICES[self.plan]:
            expected = "not_a_downgrade"
        elif self.past_due:
            expected = "renewal_unpaid"
        else:
            expected, self.next_plan, self.canceled = 200, slug, False
        self.ask("subscription/downgrade", expected, plan=slug)

    @rule(slug=add_ons)
    def add(self, slug: str) -> None:
        expected: int | str = 201
        if not self.plan:
            self.begin(FREE, slug)
        elif self.add_on == slug and not (self.add_on_ends or self.next_add_on):
            expected = "add_on_active"
        elif self.canceled and MULTIPLIERS[slug] < MULTIPLIERS[self.add_on]:
            expected = "ends"
        elif self.past_due:
            expected = "renewal_unpaid"
        elif self.add_on == slug:
            self.next_add_on, self.add_on_ends = "", False
        elif MULTIPLIERS[slug] < MULTIPLIERS[self.add_on]:
            self.next_add_on, self.add_on_ends = slug, False
        else:
            self.next_add_on, self.add_on_ends = "", False
            expected = 202 if self.bad else 201
            self.add_on = self.add_on if self.bad else slug
        card = self.cards[GOOD]
        self.ask("addons", expected, add_on=slug, payment_method="stripe", card=card)

    @rule(slug=add_ons)
    def remove(self, slug: str) -> None:
        expected = 200 if slug in (self.add_on, self.next_add_on) else 404
        if expected == 200 and self.past_due:
            expected = 402
        answer = self.shop.api(self.user).delete(f"/api/addons/{slug}")
        assert answer.status_code == expected
        self.late = False
        if expected == 200 and self.plan == FREE:
            self.canceled, self.next_add_on = True, ""
        elif expected == 200:
            self.next_add_on, self.add_on_ends = "", True

    @rule()
    def cancel(self) -> None:
        self.ask("subscription/cancel", 200 if self.plan else "not_subscribed")
        if self.past_due:
            self.end()
        elif self.plan:
            self.canceled, self.next_plan, self.next_add_on = True, "", ""

    @rule()
    def resume(self) -> None:
        if self.past_due:
            self.ask("subscription/resume", "renewal_unpaid")
        else:
            self.ask("subscription/resume", 200 if self.plan else "not_subscribed")
            self.canceled = self.add_on_ends = False
            self.next_plan = self.next_add_on = ""

    @precondition(lambda self: self.plan)
    @rule(card=st.sampled_from([GOOD, BAD]))
    def change_the_card(self, card: str) -> None:
        self.hear()
        self.shop.stripe.stripe.subscriptions.update(
            self.mine().stripe_id, {"default_payment_method": self.cards[card]}
        )
        self.bad = card == BAD

    # -- Time ------------------------------------------------------------------------------------

    @precondition(lambda self: self.plan and not self.past_due)
    @rule()
    def the_period_ends(self) -> None:
        self.hear()
        found = self.shop.stripe.stripe.subscriptions.retrieve(self.mine().stripe_id)
        end = found["items"]["data"][0]["current_period_end"]
        now = self.shop.stripe.control("clock", "GET")["now"]
        self.shop.stripe.advance(seconds=max(end - now, 0) + 2 * 3600)
        if self.canceled:
            self.end()
        elif self.bad:
            self.past_due = True
        else:
            self.renew()
        self.late = True

    def renew(self) -> None:
        self.plan, self.next_plan = self.next_plan or self.plan, ""
        coming = self.next_add_on or self.add_on
        self.add_on, self.next_add_on = "" if self.add_on_ends else coming, ""
        self.add_on_ends = False
        self.past_due = False
        self.renewed += 1

    @precondition(lambda self: self.past_due)
    @rule()
    def the_invoice_is_paid(self) -> None:
        found = self.shop.stripe.stripe.subscriptions.retrieve(self.mine().stripe_id)
        self.shop.stripe.stripe.invoices.pay(
            found.latest_invoice, {"payment_method": self.cards[GOOD]}
        )
        self.renew()
        self.late = True

    @precondition(lambda self: self.past_due)
    @rule()
    def the_grace_is_over(self) -> None:
        mine = self.mine()
        arrangements.catch_up(mine, now=mine.period_end + periods.GRACE)
        self.end()

    # -- Money that is not Stripe's subscription -------------------------------------------------

    @rule()
    def redeem(self) -> None:
        expected: int | str = 200 if self.given < 2 else "promo_code_used_up"
        self.use(self.gift, expected)
        if expected == 200:
            self.given += 1
            self.funds += nanos("5")

    def use(self, code: PromoCode, expected: int | str) -> None:
        late = self.late
        self.ask("billing/promo-code", expected, code=code.code, apply=True)
        self.late = late

    @rule(buys=st.booleans())
    def try_a_plan(self, buys: bool) -> None:
        """What was paid at Stripe comes first, heard of or not; a page that is open is closed.

        Any plan that a card pays takes the trial's place, and one that it does not, leaves it.
        """
        if self.plan:
            return self.use(self.trial, "promo_code_has_plan")
        self.hear()  # of the end of the last one
        self.use(self.trial, 200)
        assert terms.plan_of(self.user.pk)[0].slug == "standard"
        body = {"plan": "basic", "payment_method": "stripe"}
        self.ask("subscription", "generic_decline", **body, card=self.cards[BAD])
        if buys:
            self.ask("subscription", 201, **body, card=self.cards[GOOD])
            return self.begin("basic", "")
        if self.page:
            self.shop.stripe.browser.post(self.page, data={"card": GOOD})
        self.hear()
        assert terms.plan_of(self.user.pk)[0].slug == "standard"
        renewals.renew(self.user.pk, now=self.mine().period_end)
        return self.end()

    @rule(dollars=st.integers(5, 50), again=st.booleans())
    def top_up(self, dollars: int, again: bool) -> None:
        key = f"topup:{uuid.uuid4().hex}"
        for _ in range(1 + again):
            funding.credit(key=key, kind="topup", user_id=self.user.pk, amount=nanos(str(dollars)))
        self.funds += nanos(str(dollars))

    # -- The world between -----------------------------------------------------------------------

    @rule(turned=knobs)
    def turn(self, turned: dict[str, Any]) -> None:
        self.shop.knobs(**turned)

    @rule()
    def deliver(self) -> None:
        self.shop.deliver()

    @rule()
    def hear(self) -> None:
        """The hourly poll."""
        inbox.poll(now=timezone.now())
        self.late = False

    @rule(pick=st.integers(0, 99))
    def replay(self, pick: int) -> None:
        kept = list(StripeEvent.objects.order_by("received_at")[:200])
        if kept:
            assert inbox.replay(kept[pick % len(kept)])

    # -- What must hold --------------------------------------------------------------------------

    @invariant()
    def the_terms_are_the_models(self) -> None:
        if not hasattr(self, "plan") or self.late:
            return
        plan, multiplier = terms.plan_of(self.user.pk)
        assert (plan.slug, multiplier) == (self.plan or FREE, MULTIPLIERS[self.add_on])
        mine = terms.subscription_of(self.user.pk)
        assert (mine is not None) == bool(self.plan)
        if mine is None:
            return
        assert (mine.status == "past_due") == self.past_due
        assert (mine.next_plan.slug if mine.next_plan else "") == self.next_plan
        assert (mine.next_add_on.slug if mine.next_add_on else "") == self.next_add_on
        assert (mine.cancel_at_period_end, mine.add_on_ends) == (self.canceled, self.add_on_ends)

    @invariant()
    def the_books_balance(self) -> None:
        assert reconcile.problems() == []
        assert not Quarantine.objects.exists(), Quarantine.objects.values()
        if hasattr(self, "funds"):
            assert ledger.balance(self.user.pk) == self.funds

    def teardown(self) -> None:
        """In the end everything is heard of, and told once."""
        if not hasattr(self, "plan"):
            return
        self.shop.knobs()
        self.shop.deliver()
        self.hear()
        inbox.retry(now=timezone.now() + timedelta(hours=2))
        self.the_terms_are_the_models()
        self.the_books_balance()
        told = list(Notice.objects.filter(user=self.user).values_list("kind", flat=True))
        assert told.count("plan_ended") == self.ended
        assert told.count("plan_renewed") == self.renewed
        live = Subscription.objects.filter(user=self.user).exclude(stripe_id="")
        assert live.count() == self.started
        assert PlanOrder.objects.filter(user=self.user, state="open").count() <= 1


@pytest.mark.timeout(300)
def test_every_story_ends_with_the_right_plan(shop: Shop) -> None:
    Plans.shop = shop
    run_state_machine_as_test(
        Plans,
        settings=settings(
            max_examples=10,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
