"""What Stripe sends to our bank, laid beside the books: every movement of a payout is explained by
a payment, a refund or a dispute we know, or waits for a person.

A payout lists the balance transactions it is the sum of (https://docs.stripe.com/payouts/
reconciliation). Each names its source, and that is looked up by the business fact it was booked
under (settlements.py); amounts must agree to the cent. Fees are Stripe's own. Amounts are cents.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from billing.books.models import Transfer
from billing.invoices.models import Invoice
from billing.payments.models import Dispute, Payout, PayoutLine, TopUp
from billing.stripe import stripe_api
from billing.stripe.models import Quarantine, StripeCustomer
from billing.stripe.stripe_api import Object
from billing.subscriptions.models import PlanOrder

LOOK_BACK = timedelta(days=10)  # what failed, or was not explained yet, is looked at again
OURS = ("payout", "payout_failure", "payout_cancel")  # the payout itself, and its way back
STRIPES = (
    "stripe_fee",
    "stripe_fx_fee",
    "tax_fee",
    "network_cost",
    "advance",
    "reserve_transaction",
)


def read(*, now: datetime) -> int:
    """Every payout since the last ones that are reconciled: how many. Raises as stripe_api."""
    last = Payout.objects.order_by("-made_at").values_list("made_at", flat=True).first()
    since = (last - LOOK_BACK) if last else datetime(2000, 1, 1, tzinfo=UTC)
    found = list(stripe_api.payouts(int(since.timestamp())))
    settled = set(Payout.objects.filter(unmatched=0).values_list("pk", "status"))
    due = [each for each in found if (each["id"], each["status"]) not in settled]
    for payout in due:
        reconcile(payout)
    return len(due)


def settle(id: str) -> None:
    """One that Stripe tells of."""
    reconcile(stripe_api.payout(id))


def reconcile(payout: Object) -> Payout:
    """Lay its movements beside the books. As often as one likes; what is not explained is put into
    quarantine."""
    moved = [m for m in stripe_api.movements(payout["id"]) if m["type"] not in OURS]
    lines = [_line(payout["id"], each) for each in moved]
    with transaction.atomic():
        row, _ = Payout.objects.update_or_create(pk=payout["id"], defaults=_columns(payout, lines))
        PayoutLine.objects.filter(payout=row).delete()
        PayoutLine.objects.bulk_create(lines)
        _note(payout, lines)
    return row


def _columns(payout: Object, lines: Sequence[PayoutLine]) -> dict[str, object]:
    return {
        "status": payout["status"],
        "amount": payout["amount"],
        "arrives_on": _moment(payout["arrival_date"]).date(),
        "made_at": _moment(payout["created"]),
        "gross": sum(line.gross for line in lines),
        "fees": sum(line.fee for line in lines),
        "unmatched": sum(bool(line.problem) for line in lines),
        "reconciled_at": timezone.now(),
    }


def _note(payout: Object, lines: Sequence[PayoutLine]) -> None:
    explained = [line.pk for line in lines if not line.problem]
    waiting = Quarantine.objects.filter(subject__in=explained, problem="payout_line")
    Quarantine.resolve(waiting, "found in the books", timezone.now())
    net = 0
    for line in lines:
        net += line.gross - line.fee
        if line.problem:
            Quarantine.note(line.pk, "payout_line", {"payout": payout["id"], "why": line.problem})
    if net != payout["amount"]:
        about = {"payout": payout["amount"], "movements": net}
        Quarantine.note(payout["id"], "payout_sum", about)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _line(payout: str, movement: Object) -> PayoutLine:
    source = movement["source"] if isinstance(movement["source"], dict) else {}
    booked, problem = _booked(movement, source)
    return PayoutLine(
        pk=movement["id"],
        payout_id=payout,
        category=movement["reporting_category"],
        source=str(source.get("id") or movement["source"] or ""),
        gross=movement["amount"],
        fee=movement["fee"],
        made_at=_moment(movement["created"]),
        booked_as=booked,
        problem=problem,
    )


# -- What explains a movement --------------------------------------------------------------------


def _booked(movement: Object, source: Object) -> tuple[str, str]:
    """What of our books a movement is, and what is wrong with it."""
    category, cents = movement["reporting_category"], movement["amount"]
    if category in STRIPES or movement["type"] in STRIPES:
        return "Stripe", ""
    if category == "charge":
        return _payment(source, cents)
    if category in ("refund", "refund_failure"):
        return _went_back(source, f"refund:{source.get('id')}")
    if category in ("dispute", "dispute_reversal"):
        return _disputed(source, cents)
    return "", f"unknown: {category}"


def _payment(charge: Object, cents: int) -> tuple[str, str]:
    intent = charge.get("payment_intent") or ""
    order = TopUp.objects.filter(intent_id=intent, state=TopUp.State.PAID).first()
    if intent and order is not None:
        wrong = "" if order.charged_cents == cents else f"we have {order.charged_cents} cents"
        return f"topup:{order.pk}", wrong
    if _is_of_plan(charge):
        return f"plan:{intent}", ""
    return "", "no payment of ours"


def _is_of_plan(charge: Object) -> bool:
    """Stripe bills plans itself: the payment is of a customer of ours, for its invoice."""
    customer = charge.get("customer") or ""
    payer = StripeCustomer.objects.filter(stripe_id=customer).first()
    bought = payer and PlanOrder.objects.filter(user_id=payer.user_id).exists()
    intent = charge.get("payment_intent")
    return bool(bought and intent and stripe_api.invoice_of(intent))


def _went_back(source: Object, key: str) -> tuple[str, str]:
    intent = source.get("payment_intent") or ""
    if TopUp.objects.filter(intent_id=intent).exists():
        return (key, "") if _is_posted(key) else ("", "not booked yet")
    return (key, "") if Invoice.objects.filter(cause=key).exists() else ("", "no payment of ours")


def _disputed(dispute: Object, cents: int) -> tuple[str, str]:
    known = Dispute.objects.filter(pk=dispute.get("id") or "").first()
    if known is None:
        return "", "no dispute of ours"
    if known.cents and abs(cents) != known.cents:
        return f"dispute:{known.pk}", f"we have {known.cents} cents"
    return f"dispute:{known.pk}", ""


def _is_posted(key: str) -> bool:
    return Transfer.objects.filter(key=key).exists()
