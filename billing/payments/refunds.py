"""What a card paid, given back to it by staff: a top-up, or an invoice of Stripe's of a plan.

Stripe is told once (`key`), and what it answers is booked at once, as its webhook would be: under
the refund's own id, so that the webhook finds it booked. What the balance does not cover takes it
below zero, as every refund of a top-up does (settlements.py); of a plan no balance was bought, and
there is a credit note. What the balance paid for goes back to it: balance_refunds.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from django.db.models import Q

from billing.books import audit
from billing.payments import documents, plan_refunds, settlements, stripe_invoices
from billing.payments.models import Dispute, TopUp
from billing.stripe import customers, stripe_api
from billing.stripe.stripe_api import Object
from hontoni import errors
from hontoni.money import CENT, dollars

_GONE = ("failed", "canceled")
SHOWN = 50


@dataclass(frozen=True, slots=True)
class Payment:
    """What a card paid, tax included: `subject` is a top-up or an invoice of Stripe's."""

    subject: str
    user_id: int
    intent_id: str
    cents: int
    number: str = ""  # of Stripe's invoice of a plan

    @property
    def metadata(self) -> dict[str, str]:
        """What the refund says it is of, at Stripe."""
        name, _, id = self.subject.partition(":")
        return {name: id}


@dataclass(frozen=True, slots=True)
class Choice:
    """A payment in a list: `cents` are what our books say may still go back."""

    subject: str
    number: str
    at: datetime
    cents: int


def of_top_up(order: TopUp) -> Payment:
    """Raises Conflict for an order that was never paid."""
    if order.state != TopUp.State.PAID or not order.intent_id:
        raise errors.Conflict("It was never paid.")
    return Payment(f"topup:{order.pk}", order.user_id, order.intent_id, order.charged_cents)


def of_invoice(user_id: int, id: str) -> Payment:
    """Of a plan or an add-on that Stripe billed. Raises NotFound for anybody else's, Conflict for
    one that no card paid, and as stripe_api."""
    found = stripe_api.invoice(id)
    if found["customer"] != customers.find(user_id) or stripe_invoices.top_up_of(found):
        raise errors.NotFound("There is no such invoice.")
    paid = next(stripe_api.payments_of(found["id"]), None)
    if found["status"] != "paid" or paid is None:
        raise errors.Conflict("It was never paid.")
    intent = paid["payment"]["payment_intent"]
    return Payment(f"invoice:{found['id']}", user_id, intent, paid["amount_paid"], found["number"])


def find(user_id: int, subject: str) -> Payment:
    """One of a customer's, as `choices` names it. Raises NotFound for anybody else's, and as
    `of_top_up` and `of_invoice`."""
    name, _, id = subject.partition(":")
    if name == "invoice":
        return of_invoice(user_id, id)
    order = documents.ordered(id)
    if order is None or order.user_id != user_id:
        raise errors.NotFound("There is no such payment.")
    return of_top_up(order)


def choices(user_id: int) -> list[Choice]:
    """What a card of the customer's paid and has not got back, the newest first; raises as
    stripe_api. What went back is that of our books: `left` asks Stripe."""
    found = [*islice(_top_ups(user_id), SHOWN), *islice(_invoices(user_id), SHOWN)]
    return sorted(found, key=lambda each: each.at, reverse=True)


def _top_ups(user_id: int) -> Iterator[Choice]:
    paid = TopUp.objects.filter(user=user_id, state=TopUp.State.PAID).exclude(intent_id="")
    for order in paid.select_related("user").order_by("-paid_at"):
        back, _worth = documents.taken_back(order)
        if (cents := order.charged_cents - back) > 0:
            yield Choice(f"topup:{order.pk}", "", order.paid_at or order.created_at, cents)


def _invoices(user_id: int) -> Iterator[Choice]:
    customer = customers.find(user_id)
    if customer is None:
        return
    to_card = documents.credited(user_id, transfer=None)
    gone = to_card | {n: each.gone for n, each in plan_refunds.returned(user_id).items()}
    for each in stripe_api.invoices(customer):
        cents = each["amount_paid"] - gone.get(each["number"], 0) // CENT
        if each["status"] == "paid" and cents > 0 and not stripe_invoices.top_up_of(each):
            at = datetime.fromtimestamp(each["created"], UTC)
            yield Choice(f"invoice:{each['id']}", each["number"], at, cents)


def left(payment: Payment) -> int:
    """Cents that have not gone back yet: to the card, as Stripe says, or to the balance. Raises
    as stripe_api."""
    gone: int = sum(each["amount"] for each in _made(payment))
    if each := plan_refunds.returned(payment.user_id).get(payment.number):
        gone += (each.gone - each.carded) // CENT
    return payment.cents - gone


def refund(
    payment: Payment, cents: int, *, key: str, reason: str, actor: str, request_id: str = ""
) -> Object:
    """Give so many cents back; the refund, as Stripe has it. Twice under a key is once.

    Raises BadRequest for no reason, for nothing, and for more than is left; Conflict while its
    bank has taken it; and as stripe_api.
    """
    if not reason.strip():
        raise errors.BadRequest("A reason is required.", param="reason")
    made = next((each for each in _made(payment) if _key(each) == key), None)
    if made is None:
        _check(payment, cents)
        _note(payment, cents, reason, actor, request_id)
        made = stripe_api.create_refund(
            {
                "payment_intent": payment.intent_id,
                "amount": cents,
                "reason": "requested_by_customer",
                "metadata": {**payment.metadata, "once": key, "reason": reason[:500]},
            },
            f"refund:{key}",
        )
    settlements.settle_refund(made["id"])
    return made


def _check(payment: Payment, cents: int) -> None:
    """A bank that takes the money back must not find it gone already: it would go twice."""
    of_it = Q(intent_id=payment.intent_id) | Q(topup__intent_id=payment.intent_id)
    if Dispute.objects.filter(of_it, withdrawn=True, reinstated=False).exists():
        raise errors.Conflict("It is disputed: its bank has taken the money.")
    most = left(payment)
    if not 0 < cents <= most:
        raise errors.BadRequest(
            "Up to %(most)s can go back.",
            param="amount",
            about={"most": f"${dollars(max(most, 0) * CENT)}"},
        )


def _made(payment: Payment) -> list[Object]:
    made = stripe_api.refunds(payment.intent_id)
    return [each for each in made if each["status"] not in _GONE]


def _key(refund: Object) -> str:
    return str((refund.get("metadata") or {}).get("once", ""))


def _note(payment: Payment, cents: int, reason: str, actor: str, request_id: str) -> None:
    """Before Stripe is told: whoever dies in between has said what he was about to do."""
    audit.record(
        actor=actor,
        action="refund",
        subject=payment.subject,
        before={"left": dollars(left(payment) * CENT)},
        after={"refunded": dollars(cents * CENT), "reason": reason, "user": payment.user_id},
        request_id=request_id,
    )
