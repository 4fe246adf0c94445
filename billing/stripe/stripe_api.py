"""The only module that imports `stripe`. What goes in and out is plain dicts in Stripe's shapes.

* One API version, pinned: what we read is what we tested, whatever the account's default is.
* Every call has a timeout (STRIPE_TIMEOUT_SECONDS) and at most one retry, under the same
  idempotency key. Keys are made, and saved, by the caller before the call.
* Raises Declined (the card said no), Unanswered (nobody knows whether it happened), Refused (it
  did not happen, and asking again will not help), or errors.NotFound.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, cast

import stripe
from django.conf import settings

from hontoni import errors
from hontoni.checks import is_live

logger = logging.getLogger(__name__)

CURRENCY = "usd"
TOLERANCE_SECONDS = 300
PAGE = 100

Object = dict[str, Any]


class Declined(errors.PaymentRequired):
    """The bank refused. `code` is Stripe's decline code, `intent` what is left of the attempt."""

    code = "card_declined"

    def __init__(self, message: str, *, code: str, intent: Object | None) -> None:
        super().__init__(message, code=code)
        self.intent = intent


class Unanswered(errors.Unavailable):
    """It may have happened, or not. `stored` says that this key will answer the same for a day."""

    code = "payments_unavailable"

    def __init__(self, *, stored: bool = False) -> None:
        message = "The payment provider does not answer. Nothing is lost: try again."
        super().__init__(message, headers={"Retry-After": "5"})
        self.stored = stored


class Refused(errors.ApiError):
    """Stripe found the request wrong: our mistake, or our account's."""

    code = "payment_refused"


class Forged(errors.BadRequest):
    """No event of Stripe's, or not meant for us."""

    code = "invalid_signature"


def configured() -> bool:
    """Whether cards can be charged at all."""
    return bool(settings.STRIPE_SECRET_KEY)


# -- Customers and their cards -------------------------------------------------------------------


def create_customer(*, email: str, name: str, user_id: int, key: str) -> Object:
    """The Stripe customer that stands for an account."""
    params = {"email": email, "name": name, "metadata": {"user": str(user_id)}}
    return _call("POST", "/v1/customers", params, key)


def customer(id: str) -> Object:
    """A customer, with what its invoices are paid with by default."""
    return _call("GET", f"/v1/customers/{_id(id)}")


def payment_methods(customer: str) -> list[Object]:
    """The customer's saved cards, newest first."""
    return list(_list("/v1/payment_methods", {"customer": customer, "type": "card"}))


def payment_method(id: str) -> Object:
    """One of anybody's: whoever asks looks at its `customer`."""
    return _call("GET", f"/v1/payment_methods/{_id(id)}")


def detach(id: str) -> Object:
    """Take a saved card off its customer, for good."""
    return _call("POST", f"/v1/payment_methods/{_id(id)}/detach")


def set_default(customer: str, method: str) -> Object:
    """Charge this card where nobody chooses one."""
    params = {"invoice_settings": {"default_payment_method": method}}
    return _call("POST", f"/v1/customers/{_id(customer)}", params)


def describe(customer: str, about: Object) -> None:
    """What the invoices that Stripe makes from now on say of it: its name, address ..."""
    _call("POST", f"/v1/customers/{_id(customer)}", about)


def portal(customer: str, return_url: str) -> Object:
    """A link to the hosted page for cards and invoices, good for a short while."""
    params = {"customer": customer, "return_url": return_url}
    return _call("POST", "/v1/billing_portal/sessions", params)


# -- Payments ------------------------------------------------------------------------------------


def create_session(params: Object, key: str) -> Object:
    """A Checkout page."""
    return _call("POST", "/v1/checkout/sessions", params, key)


def session(id: str) -> Object:
    """A Checkout page, and how far it got."""
    return _call("GET", f"/v1/checkout/sessions/{_id(id)}")


def sessions(**filters: str) -> Iterator[Object]:
    """Checkout pages by `customer` or `payment_intent`, newest first."""
    return _list("/v1/checkout/sessions", dict(filters))


def create_intent(params: Object, key: str) -> Object:
    """A PaymentIntent; with `confirm` it charges at once."""
    return _call("POST", "/v1/payment_intents", params, key)


def intent(id: str) -> Object:
    """A PaymentIntent with its last charge."""
    params = {"expand": ["latest_charge"]}
    return _call("GET", f"/v1/payment_intents/{_id(id)}", params)


def intents(customer: str) -> Iterator[Object]:
    """A customer's PaymentIntents, newest first."""
    return _list("/v1/payment_intents", {"customer": customer})


def cancel_intent(id: str) -> Object:
    """Nobody can confirm it any more."""
    return _call("POST", f"/v1/payment_intents/{_id(id)}/cancel")


def charge(id: str) -> Object:
    return _call("GET", f"/v1/charges/{_id(id)}")


def create_refund(params: Object, key: str) -> Object:
    """Give a payment back, or a part of it."""
    return _call("POST", "/v1/refunds", params, key)


def refund(id: str) -> Object:
    return _call("GET", f"/v1/refunds/{_id(id)}")


def refunds(intent: str) -> list[Object]:
    """All refunds of a payment."""
    return list(_list("/v1/refunds", {"payment_intent": intent}))


def dispute(id: str) -> Object:
    return _call("GET", f"/v1/disputes/{_id(id)}")


def answer_dispute(id: str, evidence: Mapping[str, str], key: str) -> Object:
    """Hand in evidence: the bank has it then, and takes no more."""
    params = {"evidence": dict(evidence), "submit": True}
    return _call("POST", f"/v1/disputes/{_id(id)}", params, key)


def close_dispute(id: str) -> Object:
    """Give it up, for good."""
    return _call("POST", f"/v1/disputes/{_id(id)}/close")


# -- What goes to our bank -----------------------------------------------------------------------


def payouts(since: int) -> Iterator[Object]:
    """Payouts made since that Unix time, newest first."""
    return _list("/v1/payouts", {"created": {"gte": since}})


def payout(id: str) -> Object:
    return _call("GET", f"/v1/payouts/{_id(id)}")


def movements(payout: str) -> Iterator[Object]:
    """The balance transactions a payout consists of, each with its source; itself among them."""
    return _list("/v1/balance_transactions", {"payout": payout, "expand": ["data.source"]})


# -- Plans ---------------------------------------------------------------------------------------


def create_price(params: Object, key: str) -> Object:
    """A price of a product, which is made with it by `product_data`."""
    return _call("POST", "/v1/prices", params, key)


def create_tax_rate(params: Object, key: str) -> Object:
    """https://docs.stripe.com/api/tax_rates/create"""
    return _call("POST", "/v1/tax_rates", params, key)


def expire_session(id: str) -> Object:
    """Close a Checkout page that is open."""
    return _call("POST", f"/v1/checkout/sessions/{_id(id)}/expire")


def create_subscription(params: Object, key: str) -> Object:
    """A subscription, billed at once."""
    return _call("POST", "/v1/subscriptions", params, key)


def update_subscription(id: str, params: Object, key: str | None = None) -> Object:
    """Its items, or how it ends."""
    return _call("POST", f"/v1/subscriptions/{_id(id)}", params, key)


def cancel_subscription(id: str, *, credit: bool = False) -> None:
    """End it now; with `credit` the unused time is left on the customer's account at Stripe."""
    params = {"prorate": credit, "invoice_now": credit}
    with suppress(errors.NotFound):  # so says Stripe of one that has ended
        _call("DELETE", f"/v1/subscriptions/{_id(id)}", params)


def subscription(id: str) -> Object:
    """A subscription with its latest invoice."""
    return _call("GET", f"/v1/subscriptions/{_id(id)}", {"expand": ["latest_invoice"]})


def subscriptions(customer: str) -> list[Object]:
    """A customer's subscriptions that have not ended."""
    return list(_list("/v1/subscriptions", {"customer": customer}))


def preview(params: Object) -> Object:
    """The invoice a change would make."""
    return _call("POST", "/v1/invoices/create_preview", params)


def finalize(invoice: str) -> Object:
    """Make a draft final without collecting it: only then can it be given up."""
    return _call("POST", f"/v1/invoices/{_id(invoice)}/finalize", {"auto_advance": False})


def void(invoice: str) -> Object:
    """Give up an open invoice: nobody can pay it any more."""
    return _call("POST", f"/v1/invoices/{_id(invoice)}/void")


# -- Invoices ------------------------------------------------------------------------------------


def invoices(customer: str) -> Iterator[Object]:
    """A customer's invoices, newest first."""
    return _list("/v1/invoices", {"customer": customer})


def invoice(id: str) -> Object:
    """An invoice; its `invoice_pdf` is fresh."""
    return _call("GET", f"/v1/invoices/{_id(id)}")


def invoice_of(intent: str) -> Object | None:
    """The invoice a payment paid, if it paid one."""
    params = {"payment": {"type": "payment_intent", "payment_intent": _id(intent)}}
    paid = next(_list("/v1/invoice_payments", params), None)
    return paid and invoice(paid["invoice"])


def payments_of(invoice: str) -> Iterator[Object]:
    """What cards paid of an invoice: each with its PaymentIntent."""
    listed = _list("/v1/invoice_payments", {"invoice": _id(invoice), "status": "paid"})
    return (each for each in listed if each["payment"]["type"] == "payment_intent")


# -- Events --------------------------------------------------------------------------------------


def events(*, since: int, types: tuple[str, ...]) -> Iterator[Object]:
    """What happened since that Unix time, of at most 20 types, newest first."""
    return _list("/v1/events", {"created": {"gte": since}, "types": list(types)})


def verify(body: bytes, signature: str) -> None:
    """Raise Forged unless Stripe signed this body for us within the last five minutes.

    The SDK checks the age only; a time in the future would make a captured event good for ever.
    """
    try:
        stripe.WebhookSignature.verify_header(
            body, signature, settings.STRIPE_WEBHOOK_SECRET, TOLERANCE_SECONDS
        )
        signed_at = int(next(part[2:] for part in signature.split(",") if part.startswith("t=")))
    except (stripe.SignatureVerificationError, ValueError, StopIteration):
        raise Forged("The signature is not valid.") from None
    if signed_at > time.time() + TOLERANCE_SECONDS:
        raise Forged("The signature is from the future.")


def is_ours(event: Mapping[str, Any]) -> bool:
    """Whether an event is of the mode of our keys: test events must not meet live balances."""
    return event.get("livemode") is is_live(settings.STRIPE_SECRET_KEY)


# -- The call ------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _client(key: str, base: str, seconds: float) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": base},
        stripe_version=settings.STRIPE_API_VERSION,
        max_network_retries=1,
        http_client=stripe.RequestsClient(timeout=seconds),
    )


def point_sdk() -> None:
    """Have the SDK's own globals, which dj-stripe uses, ask where we ask, as patiently."""
    stripe.api_base = settings.STRIPE_API_BASE
    stripe.max_network_retries = 1
    if stripe.default_http_client is None:
        stripe.default_http_client = stripe.RequestsClient(timeout=settings.STRIPE_TIMEOUT_SECONDS)


def _call(method: str, path: str, params: Object | None = None, key: str | None = None) -> Object:
    if not configured():
        raise errors.Unavailable("Payments are not set up here.", code="payments_not_set_up")
    client = _client(
        settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, settings.STRIPE_TIMEOUT_SECONDS
    )
    options: Any = {"idempotency_key": key} if key else {}
    with _translated():
        answer: Any = client.raw_request(method.lower(), path, **(params or {}), **options)
    return cast(Object, answer.data)


def _list(path: str, params: Object) -> Iterator[Object]:
    """Every object of a list, page by page as they are read."""
    after: Object = {}
    while True:
        page = _call("GET", path, params | {"limit": PAGE} | after)
        yield from page["data"]
        if not page["has_more"]:
            return
        after = {"starting_after": page["data"][-1]["id"]}


def _id(id: str) -> str:
    """An id that came from outside must not walk to another path."""
    if not id.replace("_", "").isalnum() or len(id) > 255:
        raise errors.NotFound("There is no such object.")
    return id


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except stripe.CardError as error:
        raise _declined(error) from None
    except stripe.InvalidRequestError as error:
        if error.http_status == 404 or error.code == "resource_missing":
            raise errors.NotFound("There is no such object.") from None
        logger.warning("Stripe refused: %s", error)
        if error.code == "charge_disputed":
            raise errors.Conflict("It is disputed: its bank has taken the money.") from None
        raise Refused("The payment provider refused this.") from None
    except (stripe.AuthenticationError, stripe.PermissionError, stripe.IdempotencyError) as error:
        logger.error("Stripe refused: %s", error)
        raise Refused("The payment provider refused this.") from None
    except stripe.StripeError as error:
        logger.warning("Stripe did not answer: %s %s", type(error).__name__, error)
        raise Unanswered(stored=(error.http_status or 0) >= 500) from None


def _declined(error: stripe.CardError) -> Declined:
    body: Any = error.json_body or {}
    details = body.get("error") or {}
    return Declined(
        error.user_message or "The card was declined.",
        code=details.get("decline_code") or error.code or Declined.code,
        intent=details.get("payment_intent"),
    )
