"""Asking Stripe for money. An order is saved before Stripe hears of it, with the key it uses.

* The order's row decides whose money it is and how much: what Stripe holds is compared with it.
* Asking again asks under the same idempotency key, so a lost answer never charges twice. Stripe
  remembers keys for a day: older orders are looked up, and never asked for again.
* Nothing is asked for an account that is closed or frozen, and what is open is withdrawn.
* A failure that Stripe stored (a 500) may hide a charge too: the order is looked up first, and
  only if Stripe has nothing of it a new attempt begins.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from billing.books import standing
from billing.invoices.models import BillingDetails
from billing.payments import documents, settlements
from billing.payments.models import TopUp
from billing.stripe import customers, stripe_api
from billing.stripe.checkout import CheckoutRequired
from billing.stripe.stripe_api import Object
from hontoni import errors
from hontoni.money import dollars, nanos

KEY_LASTS = timedelta(hours=23)

Route, State = TopUp.Route, TopUp.State


def place(
    *,
    user: User,
    route: str,
    amount: Decimal,
    client_key: str = "",
    return_url: str = "",
    **fields: Any,
) -> TopUp:
    """Save an order. The same client key again is the same order.

    Raises BadRequest outside TOPUP_MIN..TOPUP_MAX, Conflict where the key was something else's,
    CheckoutRequired, Forbidden as `standing.must_be_good`.
    """
    standing.must_be_good(user.pk)
    if settings.STRIPE_TAX and route != Route.CHECKOUT:
        raise CheckoutRequired("Top up by POST /api/billing/topup/checkout.")
    wanted = {"route": route, "amount": check_amount(amount), **fields}
    if not client_key:
        return TopUp.objects.create(user=user, return_url=return_url, **wanted)
    order, created = TopUp.objects.get_or_create(
        user=user, client_key=client_key, defaults={"return_url": return_url, **wanted}
    )
    if not created and any(getattr(order, name) != value for name, value in wanted.items()):
        raise errors.Conflict(
            "This Idempotency-Key was used for something else.", code="idempotency_key_reused"
        )
    return order


def buy(*, user: User, payment_method: str = "", **wanted: Any) -> tuple[TopUp, Object]:
    """Order a top-up and ask Stripe for it; the order, and what Stripe has of it.

    Raises as `place` and `submit`, Unavailable where nothing is paid by Stripe, NotFound for
    anybody else's card.
    """
    if not stripe_api.configured():
        raise errors.Unavailable("Payments are not set up here.", code="payments_not_set_up")
    if payment_method:
        customers.own_card(user.pk, payment_method)
    order = place(user=user, payment_method=payment_method, **wanted)
    return order, submit(order)


def check_amount(amount: Decimal, param: str = "amount") -> int:
    """Nano-dollars. Raises BadRequest outside TOPUP_MIN..TOPUP_MAX."""
    least, most = nanos(settings.TOPUP_MIN), nanos(settings.TOPUP_MAX)
    if not least <= nanos(amount) <= most:
        raise errors.BadRequest(
            f"{param}: from ${dollars(least)} to ${dollars(most)}.", param=param
        )
    return nanos(amount)


def submit(order: TopUp) -> Object:
    """What Stripe has of this order: a Checkout Session or a PaymentIntent, made if need be.

    Raises Declined (the order has failed then), Unanswered (ask again), Conflict if it has ended.
    """
    if order.state not in TopUp.PENDING:
        return _known(order) or _over(order)
    known = _known(order) or (_found(order) if order.asked_at is not None else None)
    if known is None:
        _begin(order)
        known = _ask(order)
    _remember(order, known)
    if known["object"] == "payment_intent":
        settlements.settle_intent(known["id"])
    order.refresh_from_db()
    return known


def _known(order: TopUp) -> Object | None:
    if order.session_id:
        return stripe_api.session(order.session_id)
    return stripe_api.intent(order.intent_id) if order.intent_id else None


def _over(order: TopUp) -> Object:
    raise errors.Conflict("This top-up has ended; use another Idempotency-Key.", code="ended")


def _found(order: TopUp) -> Object | None:
    """Stripe's object for an order whose answer was lost. Lists are up to date; search is not."""
    customer = customers.find(order.user_id)
    if customer is None:
        return None
    if order.route == Route.CHECKOUT:
        listed = stripe_api.sessions(customer=customer)
    else:
        listed = stripe_api.intents(customer)
    begun = order.created_at.timestamp() - 3600
    for found in listed:
        if found["metadata"].get("topup") == str(order.pk):
            return found
        if found["created"] < begun:
            return None
    return None


def _begin(order: TopUp) -> None:
    """Save that Stripe is being asked now. Raises Conflict where its memory may be over."""
    now = timezone.now()
    standing.must_be_good(order.user_id)
    if order.asked_at is not None and order.asked_at < now - KEY_LASTS:
        order.fail("lost")
        _over(order)
    if order.asked_at is None:
        order.asked_at = now
        order.save(update_fields=["asked_at"])


def _ask(order: TopUp) -> Object:
    customer = customers.of(order.user)
    try:
        if order.route == Route.CHECKOUT:
            return stripe_api.create_session(_session(order, customer), order.idempotency_key)
        return stripe_api.create_intent(_intent(order, customer), order.idempotency_key)
    except stripe_api.Declined as error:
        _declined(order, error)
        raise
    except stripe_api.Unanswered as error:
        if error.stored:
            TopUp.objects.filter(pk=order.pk, attempt=order.attempt).update(
                attempt=F("attempt") + 1
            )
        raise
    except stripe_api.Refused:
        order.fail("refused")
        raise


def _declined(order: TopUp, error: stripe_api.Declined) -> None:
    """The intent stays with the order: its events are the order's."""
    intent = error.intent
    if intent:
        TopUp.objects.filter(pk=order.pk, intent_id="").update(intent_id=intent["id"])
    order.fail(error.code)


def _session(order: TopUp, customer: str) -> Object:
    """https://docs.stripe.com/api/checkout/sessions/create"""
    metadata = {"topup": str(order.pk)}
    price = {
        "currency": stripe_api.CURRENCY,
        "unit_amount": order.cents,
        "tax_behavior": "exclusive",
        "product_data": {"name": documents.NAME},
    }
    payment: Object = {"metadata": metadata}
    if order.save_card:
        payment["setup_future_usage"] = "off_session"
    params: Object = {
        "mode": "payment",
        "customer": customer,
        "line_items": [{"price_data": price, "quantity": 1}],
        "payment_intent_data": payment,
        "metadata": metadata,
        # Stripe puts the session's id in place of this word.
        "success_url": f"{order.return_url}?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": order.return_url,
    }
    if documents.wanted_of_stripe():
        data = {"metadata": metadata} | _made_out_to(order)
        params["invoice_creation"] = {"enabled": True, "invoice_data": data}
    if settings.STRIPE_TAX:
        params |= {"automatic_tax": {"enabled": True}, "customer_update": {"address": "auto"}}
        params["billing_address_collection"] = "required"
    return params


def _made_out_to(order: TopUp) -> dict[str, str]:
    """What the customer wants said on invoices; Stripe's own fields know no free address."""
    details = BillingDetails.objects.filter(pk=order.user_id).first()
    if details is None:
        return {}
    said = [details.name, *details.address.split("; "), details.country]
    said += [f"Tax ID: {details.tax_id}"] if details.tax_id else []
    lines = ", ".join(line for line in said if line)
    return {"footer": f"Made out to: {lines}"} if lines else {}


def _intent(order: TopUp, customer: str) -> Object:
    """https://docs.stripe.com/api/payment_intents/create"""
    params: Object = {
        "amount": order.cents,
        "currency": stripe_api.CURRENCY,
        "customer": customer,
        "description": documents.NAME,
        "metadata": {"topup": str(order.pk)},
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
    }
    if order.payment_method:
        params |= {"payment_method": order.payment_method, "confirm": True}
    if order.route == Route.AUTO:
        params["off_session"] = True
    elif order.save_card:
        params["setup_future_usage"] = "off_session"
    return params


def _remember(order: TopUp, known: Object) -> None:
    """Tie the order to Stripe's object. From now on its events find the order."""
    field = "session_id" if known["object"] == "checkout.session" else "intent_id"
    TopUp.objects.filter(pk=order.pk).update(**{field: known["id"]})
    TopUp.objects.filter(pk=order.pk, state=State.CREATED).update(state=State.OPEN)


def reconcile(*, now: datetime) -> int:
    """Ask Stripe about orders that are pending for an hour: how many. Nothing is charged here."""
    waiting = TopUp.objects.filter(
        state__in=TopUp.PENDING, created_at__lt=now - timedelta(hours=1)
    )
    looked = 0
    for order in waiting.select_related("user").order_by("created_at")[:200]:
        try:
            _look_up(order, now)
        except (stripe_api.Unanswered, errors.NotFound):
            continue
        looked += 1
    return looked


def withdraw(user_id: int) -> None:
    """Close the pages and payments that still wait for their customer. What is paid stays paid."""
    for order in TopUp.objects.filter(user_id=user_id, state=State.OPEN):
        with suppress(stripe_api.Refused, errors.NotFound):  # it is being paid
            if order.session_id:
                stripe_api.expire_session(order.session_id)
            elif order.intent_id:
                stripe_api.cancel_intent(order.intent_id)
        if order.session_id:
            settlements.settle_session(order.session_id)
        elif order.intent_id:
            settlements.settle_intent(order.intent_id)


def _look_up(order: TopUp, now: datetime) -> None:
    known = _known(order) or _found(order)
    if known is None:
        if order.created_at < now - KEY_LASTS:
            order.fail("lost")
        return
    _remember(order, known)
    if known["object"] == "checkout.session":
        settlements.settle_session(known["id"])
    else:
        settlements.settle_intent(known["id"])
