"""Plans and add-ons paid by Stripe: one subscription there an account, one item each.

* An order is saved before Stripe hears of it, with the idempotency key it uses. At most one is
  open an account; a later one closes the page, or the invoice, of the one before.
* A first plan is paid on a Checkout page, or with a saved card: all or nothing.
* What is dearer is prorated, invoiced and charged by Stripe at once, and holds once it is paid;
  until then the change waits, a day at most, and the customer is shown where to pay.
* Before something is replaced whose end was arranged, it is put back: Stripe credits the unused
  time of what its items say.
* Whatever was done, what holds is read back from Stripe (entitlements.py).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from accounts.models import User
from billing.books import standing
from billing.invoices.issuing import Line
from billing.plans import quotes, terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.plans.quotes import Quote
from billing.stripe import catalogue, customers, stripe_api
from billing.stripe.checkout import CheckoutRequired
from billing.stripe.stripe_api import Object
from billing.subscriptions import contract, entitlements
from billing.subscriptions.balance_changes import Outcome
from billing.subscriptions.models import PlanOrder
from hontoni import errors
from hontoni.money import CENT

State, Method = PlanOrder.State, Subscription.PaymentMethod
Quoting = Callable[[Subscription | None], Quote]


# -- What costs, now -----------------------------------------------------------------------------


def subscribe(
    user_id: int, plan: Plan, *, now: datetime, key: str = "", card: str = "", return_url: str = ""
) -> Outcome:
    """A first plan: with a saved card, or on the page `payment_url` leads to.

    Raises as `quotes.by_card`, Declined, Conflict `payment_pending`, CheckoutRequired, and
    NotFound for a card of nobody's.
    """
    quoting = partial(quotes.by_card, plan=plan, now=now)
    wish = PlanOrder(user_id=user_id, plan=plan, card=card, client_key=key)
    return _buy(wish, quoting, return_url)


def upgrade(user_id: int, plan: Plan, *, now: datetime, key: str = "") -> Outcome:
    """A dearer plan, now. Raises as `quotes.upgrade`, PaymentRequired `renewal_unpaid`."""
    wish = PlanOrder(user_id=user_id, plan=plan, client_key=key)
    return _buy(wish, partial(quotes.upgrade, plan=plan, now=now))


def add(
    user_id: int,
    add_on: AddOn,
    *,
    now: datetime,
    key: str = "",
    card: str = "",
    return_url: str = "",
) -> Outcome:
    """An add-on, now, in place of the present one. Raises as `quotes.add` and `subscribe`."""
    quoting = partial(quotes.add, add_on=add_on, default=terms.default_plan(), now=now)
    wish = PlanOrder(user_id=user_id, add_on=add_on, card=card, client_key=key)
    return _buy(wish, quoting, return_url)


def _buy(wish: PlanOrder, quoting: Quoting, return_url: str = "") -> Outcome:
    standing.must_be_good(wish.user_id)
    order = _earlier(wish)
    mine = contract.refresh(wish.user_id)
    if order is not None:
        order.refresh_from_db()
        return _outcome(order, replayed=True) if order.state == State.DONE else _submit(order)
    if mine is not None and mine.payment_method != Method.STRIPE and not _ends_trial(wish, mine):
        raise errors.Conflict(
            "This subscription is paid from the balance.", code="paid_from_balance"
        )
    contract.clear(wish.user_id)
    mine = terms.subscription_of(wish.user_id)
    quote = quoting(mine)
    if quote.action in ("keep", "swap_later") and mine is not None:
        return Outcome(_put_add_on(mine, quote))
    return _submit(_place(wish, mine, quote), return_url)


def _ends_trial(wish: PlanOrder, mine: Subscription) -> bool:
    """Whether what it has on trial gives way to the plan it buys."""
    return wish.plan is not None and quotes.replaces_trial(mine, wish.plan)


def _put_add_on(mine: Subscription, quote: Quote) -> Subscription:
    """The present one after all, or a cheaper one with the next period: nothing is due now."""
    found = contract.must_be_paid(mine)
    item = contract.item(mine, "add_on", found)
    if quote.action == "swap_later" and quote.add_on is not None:
        item |= {"price": catalogue.price_of(quote.add_on)}
    return contract.put(mine, [item])


def _earlier(wish: PlanOrder) -> PlanOrder | None:
    """The order this client key has placed already. Raises Conflict if that was another."""
    if not wish.client_key:
        return None
    found = PlanOrder.objects.filter(user_id=wish.user_id, client_key=wish.client_key).first()
    if found is None:
        return None
    names = ("plan_id", "add_on_id", "card")
    if any(getattr(found, name) != getattr(wish, name) for name in names):
        raise errors.Conflict(
            "This Idempotency-Key was used for something else.", code="idempotency_key_reused"
        )
    if found.state == State.FAILED:
        raise errors.Conflict("This order has ended; use another Idempotency-Key.", code="ended")
    return found


def _place(order: PlanOrder, mine: Subscription | None, quote: Quote) -> PlanOrder:
    """Save the order, for a new subscription with its row."""
    if order.card:
        customers.own_card(order.user_id, order.card)
        if settings.STRIPE_TAX:
            raise CheckoutRequired("Subscribe by Checkout: tax needs your address.")
    for sold in (order.plan, order.add_on):
        if sold is not None:
            catalogue.price_of(sold)
    try:
        with transaction.atomic():
            theirs = mine if mine and mine.payment_method == Method.STRIPE else None
            order.subscription = theirs or Subscription.objects.create(
                user_id=order.user_id,
                plan=quote.plan,
                add_on=quote.add_on,
                status=Subscription.Status.INCOMPLETE,
                payment_method=Method.STRIPE,
                period_start=quote.period_start,
                period_end=quote.period_end,
            )
            order.save(force_insert=True)
            if _state(terms.subscription_of(order.user_id)) != _state(mine):
                raise IntegrityError  # another order was done since this one was quoted
    except IntegrityError:
        raise contract.PaymentPending("An order of yours is being paid right now.") from None
    return order


def _state(mine: Subscription | None) -> tuple[int, int] | None:
    return (mine.pk, mine.revision) if mine else None


# -- Asking Stripe -------------------------------------------------------------------------------


def _submit(order: PlanOrder, return_url: str = "") -> Outcome:
    """Ask Stripe for what was ordered, and see what came of it."""
    asking = _change
    if order.subscription.status == Subscription.Status.INCOMPLETE:
        asking = _charge if order.card else partial(_open_page, return_url=return_url)
    try:
        url = asking(order)
    except stripe_api.Declined as error:
        order.close(State.FAILED, error.code)
        raise
    except stripe_api.Unanswered as error:
        if error.stored:
            PlanOrder.objects.filter(pk=order.pk).update(attempt=F("attempt") + 1)
        raise
    except errors.ApiError as error:
        order.close(State.FAILED, error.code)
        raise
    order.refresh_from_db()
    return _outcome(order, payment_url="" if order.state == State.DONE else url)


def _outcome(order: PlanOrder, *, replayed: bool = False, payment_url: str = "") -> Outcome:
    mine = Subscription.objects.select_related("plan", "add_on", "next_plan", "next_add_on")
    return Outcome(
        mine.get(pk=order.subscription_id),
        replayed=replayed,
        by_card=order.cents * CENT,
        payment_url=payment_url,
    )


def _metadata(order: PlanOrder) -> Object:
    return {"subscription": str(order.subscription_id)}


def _prices(mine: Subscription) -> list[Object]:
    """What a new subscription is made of: the default plan costs nothing, and is no item.

    What is agreed already costs that; what is new costs what the list says.
    """
    sold = [
        (mine.plan if mine.plan.price else None, mine.plan_price),
        (mine.add_on, mine.add_on_price),
    ]
    return [
        {"price": catalogue.price_of(one, price or None), "quantity": 1}
        for one, price in sold
        if one is not None
    ]


def _open_page(order: PlanOrder, *, return_url: str) -> str:
    """https://docs.stripe.com/api/checkout/sessions/create"""
    if order.session_id:
        return str(stripe_api.session(order.session_id)["url"] or "")
    params: Object = {
        "mode": "subscription",
        "customer": customers.of(order.user),
        "line_items": _prices(order.subscription),
        "subscription_data": {"metadata": _metadata(order)},
        "metadata": _metadata(order),
        "success_url": f"{return_url}?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": return_url,
    }
    if rates := _tax_rates(order.user):
        params["subscription_data"]["default_tax_rates"] = rates
    if settings.STRIPE_TAX:
        params |= {"automatic_tax": {"enabled": True}, "customer_update": {"address": "auto"}}
        params["billing_address_collection"] = "required"
    page = stripe_api.create_session(params, order.idempotency_key)
    PlanOrder.objects.filter(pk=order.pk).update(session_id=page["id"])
    return str(page["url"])


def _tax_rates(user: User) -> list[str]:
    customers.tell(user)
    return catalogue.tax_rates(user)


def _charge(order: PlanOrder) -> str:
    """Subscribe with a saved card: all or nothing, so there is never anything left to pay."""
    found = start(order.user, order.subscription, order.card, order.idempotency_key)
    entitlements.settle(found["id"])
    return ""


def start(user: User, mine: Subscription, card: str, key: str) -> Object:
    """A subscription at Stripe for that row. Raises Declined.

    https://docs.stripe.com/api/subscriptions/create
    """
    params: Object = {
        "customer": customers.of(user),
        "items": _prices(mine),
        "default_payment_method": card,
        "payment_behavior": "error_if_incomplete",
        "metadata": {"subscription": str(mine.pk)},
    }
    if rates := _tax_rates(user):
        params["default_tax_rates"] = rates
    if settings.STRIPE_TAX:  # by the address that the page asked for
        params["automatic_tax"] = {"enabled": True}
    return stripe_api.create_subscription(params, key)


def _change(order: PlanOrder) -> str:
    """https://docs.stripe.com/billing/subscriptions/pending-updates"""
    mine = order.subscription
    found = contract.retax(mine, contract.must_be_paid(mine))
    kind = "plan" if order.plan else "add_on"
    items = contract.put_back(mine, found, plan=kind == "plan", add_on=kind == "add_on")
    renewed = {"cancel_at_period_end": False} if order.plan and mine.cancel_at_period_end else {}
    if items or renewed:
        stripe_api.update_subscription(found["id"], contract.freely(items) | renewed)
        found = stripe_api.subscription(found["id"])
    sold = order.plan or order.add_on
    assert sold is not None, "an order is of something"
    old = catalogue.item_of(found, kind)
    item = {"price": catalogue.price_of(sold)} | ({"id": old["id"]} if old else {})
    changed = {
        "items": [item],
        "proration_behavior": "always_invoice",
        "payment_behavior": "pending_if_incomplete",
        "expand": ["latest_invoice"],
    }
    made = stripe_api.update_subscription(found["id"], changed, order.idempotency_key)
    entitlements.settle(found["id"])
    return str(made["latest_invoice"]["hosted_invoice_url"] or "")


def preview(user_id: int, quoting: Quoting) -> Quote:
    """What a change would cost now, computed by Stripe. Raises as `quoting`."""
    mine = terms.subscription_of(user_id)
    quote = quoting(mine)
    if mine is None or quote.action in ("downgrade", "keep", "swap_later"):
        return quote
    found = contract.must_be_paid(mine)
    kind = "plan" if quote.plan != mine.plan else "add_on"
    old, sold = catalogue.item_of(found, kind), getattr(quote, kind)
    item = {"price": catalogue.price_of(sold)} | ({"id": old["id"]} if old else {})
    details = {"items": [item], "proration_behavior": "always_invoice"}
    invoice = stripe_api.preview({"subscription": found["id"], "subscription_details": details})
    lines = (Line(line["description"], line["amount"] * CENT) for line in invoice["lines"]["data"])
    return replace(quote, lines=tuple(lines))
