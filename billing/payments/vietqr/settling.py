"""A transfer that a gateway tells of: booked if it fits its order exactly, else in quarantine.

Always true:

1. A transfer is one row, whoever tells of it, by callback or list, how often and in what order.
2. An order is credited by itself once: with its own amount of dollars, by a transfer of its own
   amount of dong, that the bank dates before the order ended. The database holds it to that.
3. Everything else that came waits for a person (quarantine.py). No dong is in two places.
"""

import logging
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from billing.books import ledger
from billing.books.ledger import Kind
from billing.books.models import Transfer
from billing.invoices import issuing, taxes
from billing.invoices.issuing import Line, Payment
from billing.invoices.models import Invoice
from billing.mails import notices
from billing.payments import funding
from billing.payments.vietqr import bank_orders
from billing.payments.vietqr.heard import Heard
from billing.payments.vietqr.models import BankOrder, BankTransfer
from hontoni import errors
from hontoni.money import dollars

logger = logging.getLogger(__name__)

Gateway, Problem, State = BankOrder.Gateway, BankTransfer.Problem, BankTransfer.State
NAME = "Hontoni balance"


def receive(heard: Heard, by: str) -> BankTransfer | None:
    """Keep what was told, and book it if it fits. Twice is once. None for what came to another
    account and names no order: a gateway may watch accounts that are not this shop's."""
    known, identity = _known(heard)
    if known is not None:
        return known
    found = _orders(heard)
    if not found and not _is_ours(heard):
        return None
    with transaction.atomic():
        order = _locked(found[0]) if len(found) == 1 else None
        problem = _problem(heard, found, order)
        transfer, created = BankTransfer.objects.get_or_create(
            identity=identity,
            defaults={
                **{name: getattr(heard, name) for name in _HEARD},
                "raw": dict(heard.raw),
                "heard_by": by,
                "order": order,
                "state": State.QUARANTINED,
                "problem": problem or Problem.REFUSED,
            },
        )
        if not created or problem or order is None:
            return transfer
        try:
            with transaction.atomic():
                book(transfer, order.user_id, order.amount, order.rate)
        except errors.ApiError as error:  # the account can hold no more: a person looks at it
            logger.warning("bank transfer %s is not booked: %s", transfer.pk, error)
            transfer.refresh_from_db()
            return transfer
        order.state, order.ended_at = BankOrder.State.PAID, timezone.now()
        order.save(update_fields=["state", "ended_at"])
    return transfer


def _known(heard: Heard) -> tuple[BankTransfer | None, str]:
    """What is kept of it already, and what it is known by. A bank that gives one reference to two
    transfers, of other amounts, made two."""
    for identity in (heard.identity, f"{heard.identity[:230]}:{heard.dong}"):
        known = BankTransfer.objects.filter(identity=identity).first()
        if known is None or known.dong == heard.dong:
            return known, identity
    return known, identity


_HEARD = ("gateway", "gateway_id", "reference", "account", "dong", "content", "sent_at")


def _locked(order: BankOrder) -> BankOrder:
    locked = BankOrder.objects.select_for_update(of=("self",))
    return locked.select_related("user").get(pk=order.pk)


def _orders(heard: Heard) -> list[BankOrder]:
    """Those it may be for: the gateway's own number says it, else what the content names."""
    if heard.number is not None:
        numbered = BankOrder.objects.filter(number=heard.number, gateway=heard.gateway)
        return list(numbered)
    return bank_orders.named(heard.content)


def _problem(heard: Heard, found: list[BankOrder], order: BankOrder | None) -> str:
    """Why it is not booked by itself; empty if it fits."""
    if not _is_ours(heard):
        return Problem.ACCOUNT
    if order is None:
        return Problem.SEVERAL if found else Problem.UNKNOWN
    if order.state == BankOrder.State.PAID:
        return Problem.DOUBLE
    if not order.user.is_active:
        return Problem.CLOSED
    if heard.dong != order.dong:
        return Problem.AMOUNT
    if heard.sent_at > good_until(order):
        return Problem.LATE
    return ""


def _is_ours(heard: Heard) -> bool:
    """Whether it came to the account that customers are shown; payOS's are its own."""
    return not heard.accounts or settings.VIETQR_ACCOUNT in heard.accounts


def good_until(order: BankOrder) -> datetime:
    """When what is paid to it is late. What was sent before a customer canceled is not."""
    if order.state == BankOrder.State.CANCELED and order.ended_at is not None:
        return order.ended_at
    return order.expires_at + bank_orders.GRACE


def book(
    transfer: BankTransfer,
    user_id: int,
    amount: int,
    rate: int,
    *,
    actor: str = "",
    note: str = "",
) -> Transfer:
    """Put a transfer on a balance, with its invoice and its receipt, in the caller's transaction.

    Raises as `ledger.post`.
    """
    about: dict[str, object] = {"bank_transfer": transfer.pk, "dong": transfer.dong, "rate": rate}
    if transfer.order is not None:
        about["bank_order"] = transfer.order.code
    paid, created = funding.credit(
        key=transfer.key,
        kind=Kind.BANK_TOPUP,
        user_id=user_id,
        amount=amount,
        reason="Bank transfer",
        ref=about,
    )
    if not created:
        raise errors.Conflict("It is booked already.")
    transfer.state, transfer.problem = State.BOOKED, ""
    transfer.user_id, transfer.amount, transfer.rate = user_id, amount, rate
    transfer.by_staff, transfer.decided_by, transfer.note = bool(actor), actor, note
    transfer.decided_at = timezone.now() if actor else None
    transfer.save()
    _document(transfer, paid)
    _tell(transfer, paid)
    return paid


def _document(transfer: BankTransfer, paid: Transfer) -> Invoice:
    assert transfer.user is not None
    now = timezone.now()
    at = transfer.sent_at if transfer.sent_at.date() != now.date() else None
    payment = Payment(
        by=paid_by(transfer.dong, transfer.rate),
        at=at,
        tax=taxes.of_payment(transfer.amount, issuing.buyer(transfer.user)),
    )
    return issuing.issue(
        transfer=paid,
        user=transfer.user,
        lines=[Line(NAME, transfer.amount)],
        now=now,
        payment=payment,
    )


def paid_by(dong: int, rate: int) -> str:
    """As it is printed, and read again by invoices/spoken.py."""
    return f"Bank transfer of {dong} VND at {rate} VND for a dollar"


def _tell(transfer: BankTransfer, paid: Transfer) -> None:
    assert transfer.user_id is not None
    facts = {
        "amount": dollars(transfer.amount),
        "charged": dollars(transfer.amount),
        "balance": dollars(ledger.balance(transfer.user_id)),
        "topup": f"txn_{paid.pk}",
        "dong": transfer.dong,
        "rate": transfer.rate,
    }
    notices.tell(user_id=transfer.user_id, kind="topup_receipt", key=transfer.key, facts=facts)
