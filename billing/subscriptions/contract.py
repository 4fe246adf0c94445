"""The subscription at Stripe: how it stands, and how it is changed without anything to pay."""

from datetime import timedelta

from django.utils import timezone

from billing.plans import terms
from billing.plans.models import Subscription
from billing.stripe import catalogue, customers, stripe_api
from billing.stripe.stripe_api import Object
from billing.subscriptions import entitlements
from billing.subscriptions.models import PlanOrder
from hontoni import errors

State = PlanOrder.State

IN_FLIGHT = timedelta(minutes=2)  # longer than any call to Stripe takes, with its retry


class PaymentPending(errors.Conflict):
    code = "payment_pending"


def refresh(user_id: int) -> Subscription | None:
    """What holds now, after Stripe was asked. Raises Unanswered."""
    mine, customer = terms.subscription_of(user_id), customers.find(user_id)
    if mine is not None and mine.stripe_id:
        entitlements.settle(mine.stripe_id)
    elif customer is not None:
        for found in stripe_api.subscriptions(customer):
            entitlements.settle(found["id"])
    return terms.subscription_of(user_id)


def clear(user_id: int) -> None:
    """Close the order that is still open: its page, or its invoice. Raises PaymentPending."""
    order = PlanOrder.objects.filter(user_id=user_id, state=State.OPEN).first()
    if order is None:
        return
    mine = order.subscription
    if order.session_id:
        page = stripe_api.session(order.session_id)
        if page["status"] == "complete":
            raise PaymentPending("Your last payment is being confirmed. Look again in a moment.")
        if page["status"] == "open":
            stripe_api.expire_session(order.session_id)
    elif mine.status != Subscription.Status.INCOMPLETE:
        _drop_pending_update(stripe_api.subscription(mine.stripe_id))
    elif order.created_at > timezone.now() - IN_FLIGHT:
        raise PaymentPending("An order of yours is being paid right now. Look again in a moment.")
    order.close(State.FAILED, "superseded")


def _drop_pending_update(found: Object) -> None:
    """Voiding its invoice takes a waiting change back."""
    if found["pending_update"] and found["latest_invoice"]["status"] == "open":
        stripe_api.void(found["latest_invoice"]["id"])


def must_be_paid(mine: Subscription) -> Object:
    """The subscription at Stripe. Raises PaymentRequired while a renewal is not paid."""
    found = stripe_api.subscription(mine.stripe_id)
    if not is_paid(mine, found):
        raise errors.PaymentRequired(
            "Your renewal is not paid yet. Pay its invoice first, or use another card.",
            code="renewal_unpaid",
        )
    return found


def is_paid(mine: Subscription, found: Object) -> bool:
    later = entitlements.period(found)[0] > mine.period_start
    return found["status"] not in entitlements.UNPAID and not later


def put(mine: Subscription, items: list[Object], **ends: bool) -> Subscription:
    """Change what Stripe bills next, and nothing of what is paid."""
    params = freely(items) | ends
    stripe_api.update_subscription(mine.stripe_id, params)
    entitlements.settle(mine.stripe_id)
    mine.refresh_from_db()
    return mine


def freely(items: list[Object]) -> Object:
    return {"items": items, "proration_behavior": "none"} if items else {}


def retax(mine: Subscription, found: Object) -> Object:
    """Have what Stripe bills from now on name our tax as it is now; the subscription there."""
    wanted = catalogue.tax_rates(mine.user)
    present = [rate["id"] for rate in found["default_tax_rates"]]
    if wanted == present:
        return found
    customers.tell(mine.user)
    items = [catalogue.taxed_as_now(item) for item in found["items"]["data"]]
    params = freely(items) | {"default_tax_rates": wanted or ""}
    stripe_api.update_subscription(found["id"], params)
    return stripe_api.subscription(found["id"])


def put_back(mine: Subscription, found: Object, *, plan: bool, add_on: bool) -> list[Object]:
    """The items in force, where Stripe was told to bill another, or another price, next."""
    moved = {
        "plan": plan and bool(mine.next_plan_id or mine.next_plan_price),
        "add_on": add_on
        and bool(mine.next_add_on_id or mine.next_add_on_price or mine.add_on_ends),
    }
    return [item(mine, kind, found) for kind, arranged in moved.items() if arranged]


def item(mine: Subscription, kind: str, found: Object | None = None) -> Object:
    """The item that is in force, whatever Stripe was told to bill next."""
    sold, amount = getattr(mine, kind), getattr(mine, f"{kind}_price")
    old = catalogue.item_of(found or stripe_api.subscription(mine.stripe_id), kind)
    return {"price": catalogue.price_of(sold, amount)} | ({"id": old["id"]} if old else {})
