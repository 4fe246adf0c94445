"""Every change of a plan or an add-on, by whichever way the subscription is paid.

Pages, /api and staff come here. From the balance: billing/subscriptions.py; by Stripe:
billing/payments/plans.py and arrangements.py. Errors are theirs; an account that is frozen buys
nothing (Forbidden `account_frozen`), and may arrange what costs nothing.
"""

from datetime import datetime
from functools import partial

from billing import quotes, standing, stripe_api, subscriptions, terms
from billing.models import AddOn, Plan, Subscription
from billing.payments import arrangements, contract, plans
from billing.payments.models import PlanOrder
from billing.quotes import Quote
from billing.subscriptions import Outcome
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
        return subscriptions.subscribe(user_id, plan, now=now, key=key)
    _need_stripe()
    return plans.subscribe(user_id, plan, now=now, key=key, card=card, return_url=return_url)


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
        return subscriptions.add(user_id, add_on, now=now, key=key)
    _need_stripe()
    return plans.add(user_id, add_on, now=now, key=key, card=card, return_url=return_url)


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
    do = plans.upgrade if by_stripe(user_id) else subscriptions.upgrade
    return do(user_id, plan, now=now, key=key)


def preview_plan(user_id: int, plan: Plan, *, by_card: bool = False, now: datetime) -> Quote:
    """What going to a plan would cost now; `by_card` from a trial, as its first month."""
    standing.must_be_good(user_id)
    if by_card and quotes.replaces_trial(mine := terms.subscription_of(user_id), plan):
        return quotes.by_card(mine, plan=plan, now=now)
    do = plans.preview if by_stripe(user_id) else subscriptions.preview
    return do(user_id, partial(quotes.to_plan, plan=plan, now=now))


def preview_add_on(user_id: int, add_on: AddOn, *, now: datetime) -> Quote:
    """What taking an add-on would cost now."""
    standing.must_be_good(user_id)
    do = plans.preview if by_stripe(user_id) else subscriptions.preview
    quoting = partial(quotes.add, add_on=add_on, default=terms.default_plan(), now=now)
    return do(user_id, quoting)


def downgrade(user_id: int, plan: Plan, *, now: datetime) -> Subscription:
    """A cheaper plan, when the period ends."""
    do = arrangements.downgrade if by_stripe(user_id) else subscriptions.downgrade
    return do(user_id, plan, now=now)


def remove(user_id: int, add_on: AddOn, *, now: datetime) -> Subscription:
    """No add-on any more, when the period ends."""
    do = arrangements.remove if by_stripe(user_id) else subscriptions.remove
    return do(user_id, add_on, now=now)


def cancel(user_id: int, *, now: datetime, actor: str = "", request_id: str = "") -> Subscription:
    """Nothing any more, when the period ends."""
    do = arrangements.cancel if by_stripe(user_id) else subscriptions.cancel
    return do(user_id, now=now, actor=actor, request_id=request_id)


def resume(user_id: int, *, now: datetime, actor: str = "", request_id: str = "") -> Subscription:
    """Undo whatever was to happen when the period ends."""
    do = arrangements.resume if by_stripe(user_id) else subscriptions.resume
    return do(user_id, now=now, actor=actor, request_id=request_id)


def end_now(user_id: int, *, now: datetime, actor: str, request_id: str = "") -> Subscription:
    """By staff: end it and credit what is unused, on the balance or at Stripe."""
    do = arrangements.end_now if by_stripe(user_id) else subscriptions.end_now
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
