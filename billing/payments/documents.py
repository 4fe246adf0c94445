"""Which document a payment by card has: always one, and never two.

* Stripe makes the invoice of a Checkout payment, and of whatever a subscription there bills:
  `TopUp.invoice_id` is the former. Where our prices contain a tax that Stripe does not know
  (SELLER_TAX_RATE), it is asked for none of the former, and told the rate of the latter
  (catalogue.py): a renewal names the rate of its day.
* Of every other top-up it is ours, issued in the transaction that credits it.
* Stripe makes no document of a refund or a dispute: what goes back has a credit note of ours,
  which names the invoice, whosoever that is; what comes back after all, an invoice. Of plans
  that a card paid: plan_refunds.py.
* Stripe may tell of its invoice later than of the payment: it has a day. What has no document
  then, and what was paid before all had one, gets ours (`complete`), dated when it is made.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Concat, Substr
from django.utils import timezone

from billing.books import ledger
from billing.books.ledger import Kind
from billing.books.models import Transfer
from billing.invoices import issuing, taxes
from billing.invoices.issuing import Line, Payment
from billing.invoices.models import Invoice
from billing.invoices.taxes import Tax
from billing.payments.models import TopUp
from billing.stripe import stripe_api
from billing.stripe.models import Quarantine, StripeCustomer
from billing.stripe.stripe_api import Object
from billing.subscriptions import entitlements
from hontoni import errors
from hontoni.money import CENT

NAME = "Hontoni balance"
STRIPE_HAS = timedelta(days=1)  # to make its invoice of a payment
BATCH = 200
UNKNOWN: Object = {"latest_charge": None}
BACK = (Kind.REFUND, Kind.DISPUTE)

Route, State = TopUp.Route, TopUp.State


# -- Of a top-up ---------------------------------------------------------------------------------


def wanted_of_stripe() -> bool:
    """Whether Stripe is to make the invoice of a Checkout payment."""
    return not taxes.rate()


def is_ours(order: TopUp, page: Object | None) -> bool:
    """Whether Stripe makes no invoice of it. `page`: the Checkout Session that was paid."""
    if order.route != Route.CHECKOUT:
        return True
    return page is not None and not (page["invoice_creation"] or {}).get("enabled")


def of_top_up(order: TopUp, paid: Transfer, by: str, now: datetime) -> Invoice:
    """Ours, in the caller's transaction."""
    buyer = issuing.buyer(order.user)
    on_top = order.charged_cents * CENT - order.amount
    tax = Tax(on_top, "Tax", on_top=True) if on_top else taxes.of_payment(order.amount, buyer)
    at = order.paid_at or paid.created_at
    payment = Payment(by=by, at=_other_day(at, now), tax=tax)
    lines = [Line(NAME, order.amount)]
    return issuing.issue(transfer=paid, user=order.user, lines=lines, now=now, payment=payment)


def paid_by(intent: Object) -> str:
    """How a payment was made, as it is printed: `Visa ending in 4242`."""
    details = (intent["latest_charge"] or {}).get("payment_method_details") or {}
    if card := details.get("card"):
        return f"{str(card['brand']).title()} ending in {card['last4']}"
    return str(details.get("type") or "card").replace("_", " ").capitalize()


def remember(order: TopUp, invoice_id: str | None) -> None:
    """Stripe's invoice of an order. Where ours was made already, a person looks at it."""
    if not invoice_id or order.invoice_id:
        return
    with transaction.atomic():
        fresh = TopUp.objects.select_for_update().get(pk=order.pk)
        if ours := Invoice.objects.filter(transfer__key=f"topup:{fresh.intent_id}").first():
            Quarantine.note(invoice_id, "second_invoice", {"ours": ours.number}, fresh)
        elif not fresh.invoice_id:
            fresh.invoice_id = order.invoice_id = invoice_id
            fresh.save(update_fields=["invoice_id"])


def settle_invoice(id: str) -> None:
    """An invoice of Stripe's was paid, or not: of a top-up, or of a subscription."""
    invoice = stripe_api.invoice(id)
    order = ordered((invoice["metadata"] or {}).get("topup"))
    if order is None or invoice["status"] != "paid":
        entitlements.settle_invoice(id)
    elif invoice["customer"] == StripeCustomer.objects.get(pk=order.user_id).stripe_id:
        remember(order, id)
        if order.state == State.PAID and invoice["total"] != order.charged_cents:
            Quarantine.note(id, "invoice_amount", {"total": invoice["total"]}, order)


def ordered(claim: Any) -> TopUp | None:
    """The order of that id, if it is one."""
    try:
        return TopUp.objects.filter(pk=claim).first() if claim else None
    except ValidationError:
        return None


def _other_day(at: datetime, now: datetime) -> datetime | None:
    return at if at.date() != now.date() else None


# -- Of what goes back ---------------------------------------------------------------------------


def taken_back(order: TopUp, until: Transfer | None = None) -> tuple[int, int]:
    """Cents of the payment, and nano-dollars of balance, that went back before that transfer."""
    code, cents, worth = ledger.wallet_code(order.user_id), 0, 0
    for sign, side in ((1, Q(debit__code=code)), (-1, Q(credit__code=code))):
        found = Transfer.objects.filter(side, ~Q(kind=Kind.USAGE), kind__in=BACK)
        for moved in found.filter(pk__lt=until.pk) if until else found:
            if moved.ref.get("topup") == str(order.pk):
                cents += sign * _cents(order, moved)
                worth += sign * moved.amount
    return cents, worth


def _cents(order: TopUp, moved: Transfer) -> int:
    """Of the payment; transfers that do not say were in proportion."""
    if said := moved.ref.get("cents"):
        return abs(int(said))
    return (2 * moved.amount * order.charged_cents + order.amount) // (2 * order.amount)


def number_of(order: TopUp) -> str:
    """Of the invoice of a top-up, Stripe's or ours; empty while there is none. Asks Stripe."""
    if order.invoice_id:
        return str(stripe_api.invoice(order.invoice_id)["number"] or "")
    ours = Invoice.objects.filter(transfer__key=f"topup:{order.intent_id}").first()
    return ours.number if ours else ""


def of_taking_back(order: TopUp, moved: Transfer, number: str, now: datetime) -> Invoice:
    """A credit note of a refund or a dispute; an invoice of one that was undone."""
    sign = -1 if moved.debit.code == ledger.wallet_code(order.user_id) else 1
    cents = _cents(order, moved)
    payment = Payment(
        by="Card",
        at=_other_day(moved.created_at, now),
        tax=_tax_back(order, moved, -sign * cents),
        credits=[number] if number else (),
    )
    about = f"{moved.reason}: {NAME}" + (f", invoice {number}" if number else "")
    lines = [Line(about, sign * moved.amount)]
    return issuing.issue(transfer=moved, user=order.user, lines=lines, now=now, payment=payment)


def _tax_back(order: TopUp, moved: Transfer, cents: int) -> Tax:
    """The part of the top-up's tax: together, all parts are all of it. `cents` went back."""
    if order.charged_cents * CENT != order.amount:
        tax = abs(cents) * CENT - moved.amount
        return Tax(-tax if cents > 0 else tax, "Tax", on_top=True)
    ours = Invoice.objects.filter(transfer__key=f"topup:{order.intent_id}").first()
    if ours is None:
        return taxes.NONE
    before, _ = taken_back(order, until=moved)
    whole = order.charged_cents
    tax = taxes.share(ours.tax, before, whole) - taxes.share(ours.tax, before + cents, whole)
    return Tax(tax, ours.tax_name, note=ours.note)


def credited(user_id: int, **of: Any) -> dict[str, int]:
    """What credit notes gave back of each invoice, Stripe's or ours, and was not undone; one of
    several counts for each of them. Of all notes, or narrowed."""
    known = Invoice.objects.filter(user=user_id)
    causes = set(known.exclude(cause="").values_list("cause", flat=True))
    notes = known.filter(kind=Invoice.Kind.CREDIT_NOTE, **of)
    found: dict[str, int] = {}
    for numbers, total, cause in notes.values_list("credits", "total", "cause"):
        undone = {f"{cause}:failed", cause.replace(":withdrawn", ":reinstated")} - {cause}
        if not undone & causes:
            for number in numbers:
                found[number] = found.get(number, 0) - total
    return found


# -- What has none -------------------------------------------------------------------------------


def complete(*, now: datetime) -> int:
    """Give every payment its document: how many got one. As often as one likes."""
    paid = sum(_complete_top_up(order, now) for order in _bare_top_ups()[:BATCH])
    return paid + sum(_complete_back(moved, now) for moved in islice(_bare_backs(), BATCH))


def _bare_top_ups() -> QuerySet[TopUp]:
    """Paid, and without an invoice of anybody's."""
    ours = Invoice.objects.filter(transfer__key=Concat(Value("topup:"), OuterRef("intent_id")))
    paid = TopUp.objects.filter(~Exists(ours), state=State.PAID, invoice_id="")
    return paid.select_related("user").order_by("created_at")


def _bare_backs() -> Iterator[Transfer]:
    """Refunds and disputes of orders of ours, without a document."""
    clearing = ledger.COUNTERPARTS[Kind.REFUND]
    for side in (Q(credit__code=clearing), Q(debit__code=clearing)):
        found = Transfer.objects.filter(side, ~Q(kind=Kind.USAGE), kind__in=BACK, invoice=None)
        yield from found.filter(ref__has_key="topup").select_related("debit").order_by("pk")


def _complete_top_up(order: TopUp, now: datetime) -> bool:
    page, intent = None, UNKNOWN
    try:
        if stripe_api.configured():
            intent = stripe_api.intent(order.intent_id)
        if order.route == Route.CHECKOUT:
            page = next(stripe_api.sessions(payment_intent=order.intent_id), None)
    except errors.NotFound:
        pass  # at Stripe; the payment is in our books
    except errors.ApiError:
        return False  # Stripe does not answer: the next time
    if page is not None and page["invoice"]:
        remember(order, page["invoice"])
        return bool(order.invoice_id)
    late = (order.paid_at or order.created_at) < now - STRIPE_HAS
    if not is_ours(order, page) and not late:
        return False
    with transaction.atomic():
        fresh = TopUp.objects.select_for_update().select_related("user").get(pk=order.pk)
        paid = Transfer.objects.filter(key=f"topup:{fresh.intent_id}").first()
        if fresh.invoice_id or paid is None:
            return False
        of_top_up(fresh, paid, paid_by(intent), now)
    return True


def _complete_back(moved: Transfer, now: datetime) -> bool:
    order = TopUp.objects.select_related("user").filter(pk=moved.ref["topup"]).first()
    if order is None:
        return False
    try:
        number = number_of(order)
    except errors.ApiError:
        return False
    with transaction.atomic():
        of_taking_back(order, moved, number, now)
    return True


# -- The proof -----------------------------------------------------------------------------------


def problems() -> Iterator[str]:
    """Payments without a document, or with two; documents that say another amount."""
    late = timezone.now() - STRIPE_HAS - timedelta(hours=2)  # `complete` comes every hour
    for order in _bare_top_ups():
        if order.route != Route.CHECKOUT or (order.paid_at or order.created_at) < late:
            yield f"the payment {order.intent_id} of {order.amount} has no invoice"
    both = Invoice.objects.filter(transfer__key=Concat(Value("topup:"), OuterRef("intent_id")))
    for order in TopUp.objects.filter(Exists(both)).exclude(invoice_id=""):
        yield f"the payment {order.intent_id} has an invoice of Stripe's and one of ours"
    for moved in _bare_backs():
        yield f"{moved.key} of {moved.amount} has no credit note"
    given = Transfer.objects.filter(kind=Kind.BALANCE_REFUND, invoice=None)
    for moved in given.filter(ref__has_key="invoice"):
        yield f"{moved.key} of {moved.amount} has no credit note"
    bought = Transfer.objects.filter(kind=Kind.SUBSCRIPTION, invoice=None)
    for moved in bought.filter(ref__has_key="subscription"):
        yield f"{moved.key} of {moved.amount} has no invoice"
    yield from _uncredited()


def _uncredited() -> Iterator[str]:
    """Orders that are paid, and what the ledger credited for them, each in one statement."""
    posted = Transfer.objects.filter(key=Concat(Value("topup:"), OuterRef("intent_id")))
    paid: Any = TopUp.objects.filter(state=State.PAID).annotate(
        booked=Subquery(posted.values("amount")[:1])
    )
    for order in paid.filter(Q(booked=None) | ~Q(amount=F("booked"))):
        yield f"the payment {order.intent_id} of {order.amount} is credited with {order.booked}"
    mine = TopUp.objects.filter(state=State.PAID, intent_id=Substr(OuterRef("key"), 7))
    credited = Transfer.objects.filter(~Exists(mine), kind=Kind.TOPUP, ref__has_key="topup")
    for moved in credited:
        yield f"{moved.key} of {moved.amount} is credited for no payment"
