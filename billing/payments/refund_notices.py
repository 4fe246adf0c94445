"""That a payment went back, told to who paid it: in the transaction that books it, once.

Its notice has the key of what books it: the ledger's transfer, the cause of a credit note, or the
note of what was sent at the bank. So a refund that Stripe tells of again, or that staff send
twice, is told of once. One that failed and came back is told of under its own kind. A dispute is
no refund: its notices are those of settlements.py.
"""

from typing import Any

from billing.books import ledger
from billing.books.models import Transfer
from billing.mails import notices
from billing.payments import documents
from billing.payments.models import TopUp
from billing.payments.vietqr.models import BankRefund
from hontoni.money import CENT, dollars


def of_top_up(order: TopUp, moved: Transfer, cents: int, *, failed: bool = False) -> None:
    """`cents` of a card's top-up went back to it, or (`failed`) came from there again."""
    gone, _ = documents.taken_back(order)
    facts = {"of": "topup", "payment": str(order.pk), "to": "card"}
    facts |= {"amount": dollars(cents * CENT)}
    _tell(order.user_id, moved.key, facts, whole=gone >= order.charged_cents, failed=failed)


def of_plan(user_id: int, cause: str, number: str, cents: int, *, whole: bool) -> None:
    """`cents` of Stripe's invoice of a plan went back to the card, or (below 0) came again."""
    facts = {"of": "invoice", "payment": number, "to": "card"}
    facts |= {"amount": dollars(abs(cents) * CENT)}
    _tell(user_id, cause, facts, whole=whole, failed=cents < 0)


def to_balance(user_id: int, moved: Transfer, number: str, *, whole: bool) -> None:
    """What an invoice says, or usage (no number), was given back to the balance."""
    facts = {"of": "invoice" if number else "usage", "payment": number or None, "to": "balance"}
    facts |= {"amount": dollars(moved.amount)}
    _tell(user_id, f"balance_refund:{moved.pk}", facts, whole=whole)


def of_transfer(refund: BankRefund, *, whole: bool) -> None:
    """Dong were sent back. Of a transfer that was never booked, its order says whose it was: if
    there is none, nobody is known who could be told."""
    transfer, facts = refund.transfer, {"to": "bank", "dong": refund.dong}
    if transfer.user_id is not None:
        payment = f"txn_{Transfer.objects.get(key=transfer.key).pk}"
        facts |= {"of": "topup", "payment": payment, "amount": dollars(refund.amount)}
        _tell(transfer.user_id, refund.ledger_key, facts, whole=whole)
    elif transfer.order is not None:
        facts |= {"of": "order", "payment": transfer.order.code, "amount": None}
        _tell(transfer.order.user_id, refund.ledger_key, facts, whole=whole)


def _tell(
    user_id: int, key: str, facts: dict[str, Any], *, whole: bool, failed: bool = False
) -> None:
    facts |= {"balance": dollars(ledger.balance(user_id))}
    if not failed:
        facts |= {"whole": whole}
    kind = "refund_failed" if failed else "refund"
    notices.tell(user_id=user_id, kind=kind, key=key, facts=facts)
