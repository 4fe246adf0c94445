"""Every change of a plan or an add-on, by whichever way the subscription is paid.

Pages, /api and staff come here. From the balance: balance_changes.py; by Stripe:
card_changes.py and arrangements.py. Errors are theirs; an account that is frozen buys
nothing (Forbidden `account_frozen`), and may arrange what costs nothing.
"""

from datetime import datetime
from functools import partial

from billing.books import standing
from billing.plans import quotes, terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.plans.quotes import Quote
from billing.rewards import promos
from billing.rewards.models import PromoCode
from billing.rewards.promos import Redeemed
from billing.stripe import stripe_api
from billing.subscriptions import arrangements, balance_changes, card_changes, contract
from billing.subscriptions.balance_changes import Outcome
from billing.subscriptions.models import PlanOrder
from hontoni import errors

Method = Subscription.PaymentMethod


def by_stripe(user_id: int) -> bool:
    """Whether Stripe bills what this account has; it is asked if there may be news."""
    mine = terms.subscription_of(user_id)
    if mine is None and PlanOrder.objects.filter(user_id=user_id, state="open").exists():
        mine = contract.refresh(user_id)  # paid a moment ago, perhaps
    return mine is not None and mine.payment_method == Method.STRIPE


def subscribe(
    user_id: int,
    plan: Plan,
    *,
    method: str,
    now: datetime,
    key: str = "",
    card: str = "",
    return_url: str = "",
) -> Outcome:
    """A first plan. By Stripe: with a saved card, or on the page of the outcome's `payment_url`,
    which leads back to `return_url`."""
    standing.must_be_good(user_id)
    if method == Method.BALANCE:
        if not by_stripe(user_id):
            contract.clear(user_id)  # a page of Stripe's must not be paid as well
        return balance_changes.subscribe(user_id, plan, now=now, key=key)
    _need_stripe()
    return card_changes.subscribe(
        user_id, plan, now=now, key=key, card=card, return_url=return_url
    )


def add(
    user_id: int,
    add_on: AddOn,
    *,
    method: str = "",
    now: datetime,
    key: str = "",
    card: str = "",
    return_url: str = "",
) -> Outcome:
    """An add-on, in place of the one there is. `method` matters for the first thing bought; what
    comes to a plan is paid as the plan."""
    standing.must_be_good(user_id)
    if not by_stripe(user_id) and method != Method.STRIPE:
        contract.clear(user_id)
        return balance_changes.add(user_id, add_on, now=now, key=key)
    _need_stripe()
    return card_changes.add(user_id, add_on, now=now, key=key, card=card, return_url=return_url)


def _need_stripe() -> None:
    if not stripe_api.configured():
        raise errors.BadRequest(
            "Plans cannot be paid by stripe here: pay from the balance.",
            code="payment_method_unavailable",
            param="payment_method",
        )


def upgrade(user_id: int, plan: Plan, *, now: datetime, key: str = "") -> Outcome:
    """A dearer plan, now."""
    standing.must_be_good(user_id)
    do = card_changes.upgrade if by_stripe(user_id) else balance_changes.upgrade
    return do(user_id, plan, now=now, key=key)


def preview_plan(user_id: int, plan: Plan, *, by_card: bool = False, now: datetime) -> Quote:
    """What going to a plan would cost now; `by_card` from a trial, as its first month."""
    standing.must_be_good(user_id)
    if by_card and quotes.replaces_trial(mine := terms.subscription_of(user_id), plan):
        return quotes.by_card(mine, plan=plan, now=now)
    do = card_changes.preview if by_stripe(user_id) else balance_changes.preview
    return do(user_id, partial(quotes.to_plan, plan=plan, now=now))


def preview_add_on(user_id: int, add_on: AddOn, *, now: datetime) -> Quote:
    """What taking an add-on would cost now."""
    standing.must_be_good(user_id)
    do = card_changes.preview if by_stripe(user_id) else balance_changes.preview
    quoting = partial(quotes.add, add_on=add_on, default=terms.default_plan(), now=now)
    return do(user_id, quoting)


def downgrade(user_id: int, plan: Plan, *, now: datetime) -> Subscription:
    """A cheaper plan, when the period ends."""
    do = arrangements.downgrade if by_stripe(user_id) else balance_changes.downgrade
    return do(user_id, plan, now=now)


def remove(user_id: int, add_on: AddOn, *, now: datetime) -> Subscription:
    """No add-on any more, when the period ends."""
    do = arrangements.remove if by_stripe(user_id) else balance_changes.remove
    return do(user_id, add_on, now=now)


def cancel(user_id: int, *, now: datetime, actor: str = "", request_id: str = "") -> Subscription:
    """Nothing any more, when the period ends."""
    do = arrangements.cancel if by_stripe(user_id) else balance_changes.cancel
    return do(user_id, now=now, actor=actor, request_id=request_id)


def resume(user_id: int, *, now: datetime, actor: str = "", request_id: str = "") -> Subscription:
    """Undo whatever was to happen when the period ends."""
    do = arrangements.resume if by_stripe(user_id) else balance_changes.resume
    return do(user_id, now=now, actor=actor, request_id=request_id)


def end_now(user_id: int, *, now: datetime, actor: str, request_id: str = "") -> Subscription:
    """By staff: end it and credit what is unused, on the balance or at Stripe."""
    do = arrangements.end_now if by_stripe(user_id) else balance_changes.end_now
    return do(user_id, now=now, actor=actor, request_id=request_id)


def pay_by(user_id: int, method: str, *, now: datetime) -> Subscription:
    """Pay the next period another way; at once while a renewal is unpaid.

    Raises NotSubscribed, Conflict `same_payment_method` or `ends`, BadRequest `no_payment_method`.
    """
    standing.must_be_good(user_id)
    mine = terms.subscription_of(user_id)
    if mine is None:
        raise quotes.NotSubscribed("You have no plan and no add-on.")
    if method == mine.payment_method:
        if not mine.next_payment_method:
            raise errors.Conflict("It is paid like that already.", code="same_payment_method")
        return arrangements.stay(mine)
    if mine.cancel_at_period_end:
        raise errors.Conflict("It ends with the period: resume it first.", code="ends")
    if method == Method.BALANCE:
        return arrangements.to_balance(user_id, now=now)
    _need_stripe()
    return arrangements.to_card(mine, now=now)


def redeem(user_id: int, code: str, *, now: datetime) -> Redeemed:
    """Use a promo code. Raises as `promos.redeem` and, for a trial while a plan is being ordered
    at Stripe, as `_make_room`."""
    if promos.check(user_id, code, now).kind == PromoCode.Kind.TRIAL:
        _make_room(user_id)
    return promos.redeem(user_id, code, now)


def _make_room(user_id: int) -> None:
    """A plan ordered at Stripe comes first if it is paid; else its page must not be paid as well.

    Raises NotForYou, PaymentPending, Unanswered.
    """
    if not PlanOrder.objects.filter(user_id=user_id, state=PlanOrder.State.OPEN).exists():
        return
    if contract.refresh(user_id) is not None:
        raise promos.has_plan()
    contract.clear(user_id)
