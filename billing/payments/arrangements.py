"""What is to happen to a subscription paid by Stripe when its period ends; and its end.

What is cheaper changes what Stripe bills next, and nothing of what is paid. How it is paid changes
with the period too: at Stripe a subscription ends, or begins, and here it goes on.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F

from billing import periods, quotes, renewals, stripe_api, subscriptions
from billing.models import AddOn, Plan, Subscription
from billing.payments import catalogue, contract, customers, entitlements, orders, plans
from billing.payments.models import PlanOrder
from hontoni import errors

State, Method = PlanOrder.State, Subscription.PaymentMethod

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
    subscriptions.audited("cancel subscription", mine, actor, request_id)
    found = stripe_api.subscription(mine.stripe_id)
    if contract.is_paid(mine, found):
        _pay_next(mine, "")
        kept = [contract.item(mine, "plan", found)] if mine.next_plan else []
        return contract.put(mine, kept, cancel_at_period_end=True)
    _pay_next(mine, "", cancel_at_period_end=True)
    return end(mine)


def resume(user_id: int, *, now: datetime, actor: str = "", request_id: str = "") -> Subscription:
    """Undo whatever was to happen when the period ends. Raises NotSubscribed."""
    mine = _mine(user_id)
    subscriptions.audited("resume subscription", mine, actor, request_id)
    found = contract.must_be_paid(mine)
    items = [contract.item(mine, "plan", found)] if mine.next_plan else []
    items += [contract.item(mine, "add_on", found)] if mine.add_on_ends else []
    _pay_next(mine, "")
    return contract.put(mine, items, cancel_at_period_end=False)


def remove(user_id: int, add_on: AddOn, *, now: datetime) -> Subscription:
    """Let the add-on end with the period. Raises NotFound if it is not the active one."""
    mine = contract.refresh(user_id)
    if mine is None or mine.add_on != add_on:
        raise errors.NotFound(f"{add_on} is not active.")
    contract.clear(user_id)
    found = contract.must_be_paid(mine)
    old = catalogue.item_of(found, "add_on")
    if old is None:
        return mine  # it was to end already
    if len(found["items"]["data"]) == 1:
        return contract.put(
            mine, [], cancel_at_period_end=True
        )  # the last item goes with the rest
    return contract.put(mine, [{"id": old["id"], "deleted": True}])


def end_now(user_id: int, *, now: datetime, actor: str, request_id: str = "") -> Subscription:
    """Staff end it; what is unused is credited at Stripe. Audited; raises NotSubscribed."""
    mine = _mine(user_id)
    ended = end(mine, credit=True)
    subscriptions.audited("end subscription", mine, actor, request_id)
    return ended


def end(mine: Subscription, *, credit: bool = False) -> Subscription:
    """End it at Stripe at once, and give up what is unpaid."""
    found = stripe_api.subscription(mine.stripe_id)
    if found["status"] not in entitlements.OVER:
        stripe_api.cancel_subscription(mine.stripe_id, credit=credit)
    invoice = found["latest_invoice"]
    if invoice and invoice["status"] == "open":
        stripe_api.void(invoice["id"])
    entitlements.settle(mine.stripe_id)
    mine.refresh_from_db()
    return mine


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
        raise orders.CheckoutRequired("Tax needs your address, which only Checkout asks for.")
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
    coming, card = quotes.next_period(mine), customers.chosen_card(mine.user_id)
    taken = coming is not None and card is not None and now < mine.period_end + periods.GRACE
    if taken and coming and card and _begin(mine, *coming, card):
        return
    _pay_next(mine, "")
    renewals.renew(mine.user_id, now=now)


def _begin(mine: Subscription, plan: Plan, add_on: AddOn | None, card: str) -> bool:
    key = (
        f"handover:{mine.pk}:{mine.period_end.isoformat()}:{plan.pk}:{add_on and add_on.pk}:{card}"
    )
    coming = Subscription(pk=mine.pk, plan=plan, add_on=add_on)
    try:
        found = plans.start(mine.user, coming, card, key)
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
    """Those whose period is over, as far as we have heard, and whose owner is gone."""
    live = Subscription.objects.filter(
        status__in=Subscription.LIVE, payment_method=Method.STRIPE
    ).exclude(stripe_id="")
    return [
        *live.filter(period_end__lte=now, user__is_active=True),
        *live.filter(user__is_active=False),
    ]


def handed_over(now: datetime) -> list[Subscription]:
    """Those whose period is over, and the next one is to be Stripe's."""
    ours = Subscription.objects.filter(
        status__in=Subscription.LIVE, payment_method=Method.BALANCE, period_end__lte=now
    )
    return list(ours.filter(next_payment_method=Method.STRIPE))


def catch_up(mine: Subscription, *, now: datetime) -> None:
    """Ask Stripe how it stands; end what stayed unpaid for the grace, or belongs to nobody."""
    entitlements.settle(mine.stripe_id, now=now)
    mine.refresh_from_db()
    live = mine.status in Subscription.LIVE and mine.payment_method == Method.STRIPE
    past_due = mine.status == Subscription.Status.PAST_DUE
    lapsed = past_due and now >= mine.period_end + periods.GRACE
    if live and (lapsed or not mine.user.is_active):
        end(mine)


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
