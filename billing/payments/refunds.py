"""A payment that staff give back to the card it came from.

Stripe is told once (`key`), and what it answers is booked at once, as its webhook would be: under
the refund's own id, so that the webhook finds it booked. What the balance does not cover takes it
below zero, as every refund does (settlements.py). What the balance paid for goes back to it:
balance_refunds.py.
"""

from billing.books import audit
from billing.payments import settlements
from billing.payments.models import TopUp
from billing.stripe import stripe_api
from billing.stripe.stripe_api import Object
from hontoni import errors
from hontoni.money import CENT, dollars

_GONE = ("failed", "canceled")


def left(order: TopUp) -> int:
    """Cents of what the card paid that have not gone back yet. Raises as stripe_api."""
    if order.state != TopUp.State.PAID or not order.intent_id:
        return 0
    gone: int = sum(each["amount"] for each in _made(order))
    return order.charged_cents - gone


def refund(
    order: TopUp, cents: int, *, key: str, reason: str, actor: str, request_id: str = ""
) -> Object:
    """Give so many cents back; the refund, as Stripe has it. Twice under a key is once.

    Raises BadRequest for no reason, for nothing, and for more than is left; Conflict for an order
    that was never paid; and as stripe_api.
    """
    if not reason.strip():
        raise errors.BadRequest("A reason is required.", param="reason")
    if order.state != TopUp.State.PAID or not order.intent_id:
        raise errors.Conflict("It was never paid.")
    made = next((each for each in _made(order) if _key(each) == key), None)
    if made is None:
        most = left(order)
        if not 0 < cents <= most:
            raise errors.BadRequest(f"Up to ${dollars(most * CENT)} can go back.", param="amount")
        _note(order, cents, reason, actor, request_id)
        made = stripe_api.create_refund(
            {
                "payment_intent": order.intent_id,
                "amount": cents,
                "reason": "requested_by_customer",
                "metadata": {"topup": str(order.pk), "once": key, "reason": reason[:500]},
            },
            f"refund:{key}",
        )
    settlements.settle_refund(made["id"])
    return made


def _made(order: TopUp) -> list[Object]:
    return [each for each in stripe_api.refunds(order.intent_id) if each["status"] not in _GONE]


def _key(refund: Object) -> str:
    return str((refund.get("metadata") or {}).get("once", ""))


def _note(order: TopUp, cents: int, reason: str, actor: str, request_id: str) -> None:
    """Before Stripe is told: whoever dies in between has said what he was about to do."""
    audit.record(
        actor=actor,
        action="refund",
        subject=f"topup:{order.pk}",
        before={"left": dollars(left(order) * CENT)},
        after={"refunded": dollars(cents * CENT), "reason": reason, "user": order.user_id},
        request_id=request_id,
    )
