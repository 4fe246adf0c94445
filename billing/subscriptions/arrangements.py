"""What is to happen to a subscription paid by Stripe when its period ends; and its end.

What is cheaper changes what Stripe bills next, and nothing of what is paid. How it is paid changes
with the period too: at Stripe a subscription ends, or begins, and here it goes on.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, QuerySet

from billing.books import standing
from billing.plans import prices, quotes
from billing.plans.models import AddOn, Plan, Subscription
from billing.stripe import catalogue, customers, stripe_api
from billing.stripe.checkout import CheckoutRequired
from billing.stripe.models import StripeTaxRate
from billing.stripe.stripe_api import Object
from billing.subscriptions import balance_changes, card_changes, contract, entitlements, renewals
from billing.subscriptions.models import PlanOrder
from hontoni import errors

logger = logging.getLogger(__name__)

State, Method = PlanOrder.State, Subscription.PaymentMethod

SOON = timedelta(hours=3)  # the worker comes by every hour
LASTS = timedelta(hours=24)  # a Checkout page, or a change that waits to be paid


def downgrade(user_id: int, plan: Plan, *, now: datetime) -> Subscription:
    """A cheaper plan when the period ends. Raises as `quotes.downgrade`, `renewal_unpaid`."""
    mine = _mine(user_id)
    quotes.downgrade(mine, plan=plan, now=now)
    found = contract.must_be_paid(mine)
    old = catalogue.item_of(found, "plan")
    item = {"price": catalogue.price_of(plan)} | ({"id": old["id"]} if old else {})
    return contract.put(mine, [item], cancel_at_period_end=False)


def cancel(user_id: int, *, now: datetime, actor: str = "", request_id: str = "") -> Subscription:
    """Let it end with the period; while a renewal is unpaid that is now. Raises NotSubscribed."""
    mine = _mine(user_id)
    balance_changes.audited("cancel subscription", mine, actor, request_id)
    found = stripe_api.subscription(mine.stripe_id)
    if contract.is_paid(mine, found):
        _pay_next(mine, "")
        kept = contract.put_back(mine, found, plan=True, add_on=mine.next_add_on is not None)
        return contract.put(mine, kept, cancel_at_period_end=True)
    _pay_next(mine, "", cancel_at_period_end=True)
    return end(mine)


def resume(user_id: int, *, now: datetime, actor: str = "", request_id: str = "") -> Subscription:
    """Undo whatever was to happen when the period ends. Raises NotSubscribed."""
    mine = _mine(user_id)
    balance_changes.audited("resume subscription", mine, actor, request_id)
    found = contract.must_be_paid(mine)
    items = contract.put_back(mine, found, plan=True, add_on=True)
    _pay_next(mine, "")
    return contract.put(mine, items, cancel_at_period_end=False)


def remove(user_id: int, add_on: AddOn, *, now: datetime) -> Subscription:
    """Let the add-on end with the period. Raises NotFound if it is not the active one."""
    mine = contract.refresh(user_id)
    if mine is None or add_on not in (mine.add_on, mine.next_add_on):
        raise errors.NotFound(f"{add_on} is not active.")
    contract.clear(user_id)
    found = contract.must_be_paid(mine)
    old = catalogue.item_of(found, "add_on")
    if old is None:
        return mine  # it was to end already
    if len(found["items"]["data"]) == 1:
        kept = contract.put_back(mine, found, plan=False, add_on=True)
        return contract.put(mine, kept, cancel_at_period_end=True)  # the last goes with the rest
    return contract.put(mine, [{"id": old["id"], "deleted": True}])


def end_now(user_id: int, *, now: datetime, actor: str, request_id: str = "") -> Subscription:
    """Staff end it; what is unused is credited at Stripe. Audited; raises NotSubscribed."""
    mine = _mine(user_id)
    ended = end(mine, credit=True)
    balance_changes.audited("end subscription", mine, actor, request_id)
    return ended


def end(mine: Subscription, *, credit: bool = False) -> Subscription:
    """End it at Stripe at once, and give up what is unpaid."""
    found = stripe_api.subscription(mine.stripe_id)
    items = contract.put_back(mine, found, plan=True, add_on=True) if credit else []
    if items:  # Stripe credits the unused time of what its items say
        stripe_api.update_subscription(mine.stripe_id, contract.freely(items))
    _drop(found)
    if found["status"] not in entitlements.OVER:
        stripe_api.cancel_subscription(mine.stripe_id, credit=credit)
    entitlements.settle(mine.stripe_id)
    mine.refresh_from_db()
    return mine


def _drop(found: Object) -> None:
    """Nobody is to pay its last invoice any more; a renewal's is a draft for its first hour."""
    invoice = found["latest_invoice"]
    if invoice and invoice["status"] == "draft":
        invoice = stripe_api.finalize(invoice["id"])
    if invoice and invoice["status"] == "open":
        stripe_api.void(invoice["id"])


def _mine(user_id: int) -> Subscription:
    mine = contract.refresh(user_id)
    if mine is None:
        raise quotes.NotSubscribed("You have no plan and no add-on.")
    contract.clear(user_id)
    return mine


# -- Another way to pay --------------------------------------------------------------------------


def to_balance(user_id: int, *, now: datetime) -> Subscription:
    """Pay the next period from the balance; while a renewal is unpaid, this one."""
    mine = _mine(user_id)
    found = stripe_api.subscription(mine.stripe_id)
    _pay_next(mine, Method.BALANCE)
    if contract.is_paid(mine, found):
        return contract.put(mine, [], cancel_at_period_end=True)
    ended = end(mine)
    renewals.renew(user_id, now=now)
    ended.refresh_from_db()
    return ended


def to_card(mine: Subscription, *, now: datetime) -> Subscription:
    """Pay the next period of a subscription paid from the balance by a saved card.

    Raises BadRequest `no_payment_method`, CheckoutRequired where tax is added.
    """
    if settings.STRIPE_TAX:
        raise CheckoutRequired("Tax needs your address, which only Checkout asks for.")
    if customers.chosen_card(mine.user_id) is None:
        raise errors.BadRequest(
            "Save a card first: top up with `save_card`.", code="no_payment_method"
        )
    _pay_next(mine, Method.STRIPE)
    if mine.period_end <= now:
        hand_over(mine, now=now)
    mine.refresh_from_db()
    return mine


def stay(mine: Subscription) -> Subscription:
    """Go on paying as it is paid."""
    _pay_next(mine, "")
    if mine.payment_method == Method.STRIPE:
        return contract.put(mine, [], cancel_at_period_end=False)
    return mine


def hand_over(mine: Subscription, *, now: datetime) -> None:
    """The period is over: the next one is Stripe's. If its card refuses, it stays with us."""
    contract.refresh(mine.user_id)
    mine.refresh_from_db()
    if mine.payment_method == Method.STRIPE or mine.next_payment_method != Method.STRIPE:
        return
    if not standing.is_good(mine.user_id):
        return
    coming, card = quotes.next_period(mine), customers.chosen_card(mine.user_id)
    lapsed = mine.past_due_since is not None and now >= mine.grace_until
    if coming and card and not lapsed and _begin(mine, *coming, card):
        return
    _pay_next(mine, "")
    renewals.renew(mine.user_id, now=now)


def _begin(mine: Subscription, plan: Plan, add_on: AddOn | None, card: str) -> bool:
    coming = Subscription(
        pk=mine.pk,
        plan=plan,
        plan_price=prices.next_price(mine, plan),
        add_on=add_on,
        add_on_price=prices.next_price(mine, add_on) if add_on else 0,
    )
    sold = f"{plan.pk}:{coming.plan_price}:{add_on and add_on.pk}:{coming.add_on_price}"
    key = f"handover:{mine.pk}:{mine.period_end.isoformat()}:{sold}:{card}"
    try:
        found = card_changes.start(mine.user, coming, card, key)
    except (stripe_api.Declined, errors.BadRequest):
        return False
    entitlements.settle(found["id"])
    return True


def _pay_next(mine: Subscription, method: str, **fields: bool) -> None:
    fresh = Subscription.objects.filter(pk=mine.pk)
    fresh.update(next_payment_method=method, revision=F("revision") + 1, **fields)
    mine.refresh_from_db()


# -- By the clock --------------------------------------------------------------------------------


def overdue(now: datetime) -> list[Subscription]:
    """Those whose period is over, as far as we have heard."""
    return list(at_stripe().filter(standing.good(), period_end__lte=now))


def at_stripe() -> QuerySet[Subscription]:
    """What Stripe bills."""
    live = Subscription.objects.filter(
        status__in=Subscription.LIVE, payment_method=Method.STRIPE
    ).exclude(stripe_id="")
    return live.select_related("plan", "add_on", "next_plan", "next_add_on", "user")


def handed_over(now: datetime) -> list[Subscription]:
    """Those whose period is over, and the next one is to be Stripe's."""
    ours = Subscription.objects.filter(
        status__in=Subscription.LIVE, payment_method=Method.BALANCE, period_end__lte=now
    )
    return list(ours.filter(standing.good(), next_payment_method=Method.STRIPE))


def catch_up(mine: Subscription, *, now: datetime) -> None:
    """Ask Stripe how it stands; end what stayed unpaid for the grace."""
    entitlements.settle(mine.stripe_id, now=now)
    mine.refresh_from_db()
    live = mine.status in Subscription.LIVE and mine.payment_method == Method.STRIPE
    past_due = mine.status == Subscription.Status.PAST_DUE
    if live and past_due and now >= mine.grace_until:
        end(mine)


def moved() -> list[Subscription]:
    """Those that Stripe is to bill another price next than it has been told."""
    found = at_stripe().filter(standing.good(), prices.MOVED, cancel_at_period_end=False)
    found = found.filter(status=Subscription.Status.ACTIVE, next_payment_method="")
    return [mine for mine in found if _new_prices(mine)]


def _new_prices(mine: Subscription) -> list[prices.Sold]:
    sold = [one for one in prices.coming(mine) if prices.agreed(mine, one)]
    return [one for one in sold if prices.next_price(mine, one) != _billed(mine, one)]


def _billed(mine: Subscription, sold: prices.Sold) -> int:
    """What Stripe has been told to bill for it from the next period on."""
    kind = prices.kind_of(sold)
    billed: int = getattr(mine, f"next_{kind}_price")
    return billed or prices.agreed(mine, sold)


def bill_prices(mine: Subscription, *, now: datetime) -> None:
    """Have Stripe bill from the next period on what billing/plans/prices.py says."""
    found = contract.must_be_paid(mine)
    items = []
    for sold in _new_prices(mine):
        old = catalogue.item_of(found, prices.kind_of(sold))
        if old is not None:
            price = catalogue.price_of(sold, prices.next_price(mine, sold))
            items.append({"id": old["id"], "price": price})
    contract.put(mine, items)


def retax(*, now: datetime) -> None:
    """Before a period is billed: our tax, and who owes it, may be another by now."""
    if not catalogue.contains_tax() and not StripeTaxRate.objects.exists():
        return
    soon = at_stripe().filter(standing.good(), period_end__gt=now, period_end__lte=now + SOON)
    for mine in soon.filter(status=Subscription.Status.ACTIVE):
        try:
            contract.retax(mine, stripe_api.subscription(mine.stripe_id))
        except errors.ApiError:
            logger.warning("Account %d is billed with the old tax.", mine.user_id, exc_info=True)


def reconcile(*, now: datetime) -> int:
    """Look at orders that are open for an hour: how many. Nothing is charged here."""
    waiting = PlanOrder.objects.filter(state=State.OPEN, created_at__lt=now - timedelta(hours=1))
    found = list(waiting.select_related("subscription"))
    for order in found:
        contract.refresh(order.user_id)
        order.refresh_from_db()
        if order.created_at < now - LASTS:
            order.close(State.FAILED, "expired")
    return len(found)
