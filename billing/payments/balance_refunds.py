"""What was bought, given back to the balance: a plan, an add-on, or usage.

Always true:

1. Of what an invoice says no more goes back than it is of, less what its credit notes gave back
   already; of usage no more than was charged for it, less corrections and what went back.
2. It is booked once for a key, with its audit entry and its notice, and with a credit note where
   an invoice says what was bought: in one transaction.

The invoice may be Stripe's, of a plan that a card paid (plan_refunds.py). What a card paid may go
back to the card instead: refunds.py.
"""

from itertools import islice

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext_noop

from accounts.models import User
from billing.books import audit, ledger
from billing.books.ledger import Kind
from billing.books.models import Entry, Transfer, Wallet
from billing.invoices.models import Invoice
from billing.payments import documents, plan_refunds, refund_notices
from hontoni import errors
from hontoni.money import CENT, dollars

USAGE = "usage"  # in place of an invoice's number
SHOWN = 50


def refundable(user_id: int) -> dict[str, int]:
    """What something may go back of, and how many nano-dollars: usage, and invoices by their
    numbers, the newest first."""
    bought = Invoice.objects.filter(
        user=user_id, kind=Invoice.Kind.INVOICE, transfer__kind=Kind.SUBSCRIPTION
    )
    credited = documents.credited(user_id)
    found = {USAGE: _of_usage(user_id)}
    for number, total in bought.order_by("-pk").values_list("number", "total")[:SHOWN]:
        found[number] = total - credited.get(number, 0)
    by_card = plan_refunds.returned(user_id)
    found |= {number: each.left for number, each in islice(by_card.items(), SHOWN)}
    return {name: left for name, left in found.items() if left >= CENT}


def refund(
    *,
    key: str,
    user_id: int,
    of: str,
    amount: int,
    reason: str,
    actor: str,
    request_id: str = "",
) -> tuple[Transfer, bool]:
    """Credit the balance with so much of `of`, and say so on a credit note. Twice is once.

    Answers and raises as `ledger.post`; raises BadRequest for no reason, for a part of a cent, and
    for more than is left. The customer sees the reason.
    """
    if not reason.strip():
        raise errors.BadRequest("A reason is required.", param="reason")
    ref = {"usage": True} if of == USAGE else {"invoice": of}
    with transaction.atomic():
        plan_refunds.lock(user_id)
        if not Transfer.objects.filter(key=key).exists():
            left = refundable(user_id).get(of, 0)
            if not 0 < amount <= left or amount % CENT:
                raise errors.BadRequest(
                    gettext_noop("Up to %(most)s can go back."),
                    param="amount",
                    about={"most": f"${_cents(left)}"},
                )
        transfer, created = ledger.post(
            key=key,
            kind=Kind.BALANCE_REFUND,
            user_id=user_id,
            amount=amount,
            reason=reason,
            actor=actor,
            ref=ref,
        )
        if created:
            _document(transfer, user_id, of)
            _note(transfer, user_id, of, request_id)
            number, whole = "" if of == USAGE else of, of not in refundable(user_id)
            refund_notices.to_balance(user_id, transfer, number, whole=whole)
    return transfer, created


def _document(transfer: Transfer, user_id: int, of: str) -> None:
    """Usage has no invoice, and so no credit note: the statement of its month says it."""
    if of == USAGE:
        return
    user, now = User.objects.get(pk=user_id), timezone.now()
    by_card = of in plan_refunds.returned(user_id)
    plan_refunds.document(user, transfer, transfer.amount, of, now, by_card=by_card)


def _note(transfer: Transfer, user_id: int, of: str, request_id: str) -> None:
    entry = Entry.objects.get(transfer=transfer, account__code=ledger.wallet_code(user_id))
    audit.record(
        actor=transfer.actor,
        action="refund",
        subject=f"user:{user_id}",
        before={"balance": dollars(entry.balance_after - entry.amount)},
        after={
            "balance": dollars(entry.balance_after),
            "refunded": dollars(transfer.amount),
            "of": of,
            "reason": transfer.reason,
        },
        request_id=request_id,
    )


def _of_usage(user_id: int) -> int:
    wallet = Wallet.objects.filter(pk=user_id).first()
    if wallet is None:
        return 0
    corrected = _sum(_entries(user_id, Kind.CORRECTION))
    back = _sum(_entries(user_id, Kind.BALANCE_REFUND).filter(transfer__invoice=None))
    return wallet.settled_total - corrected - back


def _entries(user_id: int, kind: str) -> QuerySet[Entry]:
    return Entry.objects.filter(account__code=ledger.wallet_code(user_id), transfer__kind=kind)


def _sum(entries: QuerySet[Entry]) -> int:
    return int(entries.aggregate(sum=Sum("amount"))["sum"] or 0)


def _cents(amount: int) -> str:
    return dollars(max(amount, 0) // CENT * CENT)
