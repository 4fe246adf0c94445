"""Dong that go back: a bank transfer is made by hand, so it takes two.

* Who notes it says how much, why and where to. What was on a balance is taken from it in that
  moment, so that nobody spends it meanwhile; it may go below zero, as with a card.
* Somebody else sends it at the bank and says the bank's reference: then it is a credit note, and
  an adjustment of the e-invoice, and the customer is told. Or declines it: then it is back where
  it was.
* Never more goes back of a transfer than came.
"""

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext_noop

from accounts.models import User
from billing.books import audit
from billing.books.ledger import Kind
from billing.books.models import Transfer
from billing.invoices import issuing, taxes
from billing.invoices.issuing import Line, Payment
from billing.invoices.models import Invoice
from billing.invoices.taxes import Tax
from billing.payments import funding, refund_notices
from billing.payments.vietqr import settling
from billing.payments.vietqr.models import BankRefund, BankTransfer
from hontoni import errors

State, Of = BankRefund.State, BankTransfer.State


def left(transfer: BankTransfer) -> int:
    """Dong of it that may still go back."""
    if transfer.state not in (Of.BOOKED, Of.QUARANTINED):
        return 0
    return transfer.dong - _gone(transfer)[0]


def _gone(transfer: BankTransfer) -> tuple[int, int]:
    """Dong and nano-dollars that went back, or are on their way."""
    kept = transfer.refunds.exclude(state=State.DECLINED)
    sums = kept.aggregate(dong=Sum("dong", default=0), amount=Sum("amount", default=0))
    return int(sums["dong"]), int(sums["amount"])


@transaction.atomic
def request(
    pk: int, *, key: str, dong: int, to: str, reason: str, staff: User, request_id: str = ""
) -> BankRefund:
    """Note that so many dong of a transfer go back. Twice under a key is once.

    Raises BadRequest for more than is left, for a part of what was never booked, and without a
    reason or where to; Conflict where somebody decided otherwise.
    """
    found = BankTransfer.objects.select_for_update().get(pk=pk)
    if earlier := BankRefund.objects.filter(key=key).first():
        return earlier
    if not reason.strip() or not to.strip():
        raise errors.BadRequest("A reason is required.", param="reason")
    most = left(found)
    whole = found.state == Of.QUARANTINED
    if not 0 < dong <= most or (whole and dong != most):
        raise errors.BadRequest(
            gettext_noop("All of it goes back: %(most)s dong.")
            if whole
            else gettext_noop("Up to %(most)s dong can go back."),
            param="dong",
            about={"most": most},
        )
    refund = BankRefund.objects.create(
        transfer=found,
        key=key,
        dong=dong,
        amount=0 if whole else _share(found, dong),
        to=to,
        reason=reason,
        requester=staff,
        requested_by=staff.email,
    )
    if whole:
        found.state = Of.RETURNING
        found.save(update_fields=["state"])
    elif refund.amount:
        _move(refund, refund.amount, refund.ledger_key)
    _note(refund, "request bank refund", staff.email, {}, request_id)
    return refund


def _share(found: BankTransfer, dong: int) -> int:
    """Nano-dollars that so many dong of it bought; together, all parts are all of it."""
    gone_dong, gone = _gone(found)
    return found.amount * (gone_dong + dong) // found.dong - gone


def _move(refund: BankRefund, amount: int, key: str) -> Transfer:
    transfer = refund.transfer
    assert transfer.user_id is not None
    moved, _ = funding.take_back(
        key=key,
        kind=Kind.BANK_REFUND,
        user_id=transfer.user_id,
        top_up=Transfer.objects.get(key=transfer.key),
        amount=amount,
        reason="Refund of a bank transfer" if amount > 0 else "Not sent back after all",
        ref={"bank_transfer": transfer.pk, "bank_refund": refund.pk, "dong": refund.dong},
    )
    return moved


@transaction.atomic
def sent(pk: int, *, reference: str, staff: User, request_id: str = "") -> BankRefund:
    """It was sent at the bank, under that reference.

    Raises Forbidden to who noted it, Conflict if it is decided, BadRequest without a reference.
    """
    if not reference.strip():
        raise errors.BadRequest(
            gettext_noop("The bank's reference is missing."), param="reference"
        )
    refund = _open(pk, staff)
    refund.reference = reference
    if refund.transfer.state == Of.RETURNING:
        BankTransfer.objects.filter(pk=refund.transfer_id).update(
            state=Of.RETURNED, decided_by=staff.email, decided_at=timezone.now()
        )
    _decide(refund, State.SENT, staff)
    if refund.amount:
        _document(refund)
    whole = _sent(refund.transfer) == refund.transfer.dong
    refund_notices.of_transfer(refund, whole=whole)
    _note(refund, "send bank refund", staff.email, {"state": "requested"}, request_id)
    return refund


@transaction.atomic
def decline(pk: int, *, staff: User, request_id: str = "") -> BankRefund:
    """Nothing goes back: what was taken is given back. Raises as `sent`."""
    refund = _open(pk, staff)
    if refund.transfer.state == Of.RETURNING:
        BankTransfer.objects.filter(pk=refund.transfer_id).update(state=Of.QUARANTINED)
    if refund.amount:
        _move(refund, -refund.amount, f"{refund.ledger_key}:declined")
    _decide(refund, State.DECLINED, staff)
    _note(refund, "decline bank refund", staff.email, {"state": "requested"}, request_id)
    return refund


def _open(pk: int, staff: User) -> BankRefund:
    of = BankRefund.objects.values_list("transfer", flat=True).get(pk=pk)
    BankTransfer.objects.select_for_update().get(pk=of)  # as `request`: the transfer first
    locked = BankRefund.objects.select_for_update(of=("self",))
    refund = locked.select_related("transfer__user").get(pk=pk)
    if refund.state != State.REQUESTED:
        raise errors.Conflict(gettext_noop("Somebody has decided about it already."))
    if refund.requester_id == staff.pk:
        raise errors.Forbidden("Somebody else decides about what you requested.")
    return refund


def _decide(refund: BankRefund, state: BankRefund.State, staff: User) -> None:
    refund.state, refund.decider = state, staff
    refund.decided_by, refund.decided_at = staff.email, timezone.now()
    refund.save()


def _document(refund: BankRefund) -> Invoice:
    """The credit note, with its part of the invoice's tax."""
    paid = Invoice.objects.get(transfer__key=refund.transfer.key)
    taken = Transfer.objects.get(key=refund.ledger_key)
    now = timezone.now()
    number = f", invoice {paid.number}"
    return issuing.issue(
        transfer=taken,
        user=paid.user,
        lines=[Line(f"Refund: {settling.NAME}{number}", -refund.amount)],
        now=now,
        payment=Payment(
            by=settling.paid_by(refund.dong, refund.transfer.rate),
            tax=_tax_back(refund, paid),
            credits=[paid.number],
        ),
    )


def _tax_back(refund: BankRefund, paid: Invoice) -> Tax:
    """The part of the invoice's tax: together, all parts are all of it."""
    whole, after = refund.transfer.dong, _sent(refund.transfer)
    before = after - refund.dong
    tax = taxes.share(paid.tax, before, whole) - taxes.share(paid.tax, after, whole)
    return Tax(tax, paid.tax_name, note=paid.note)


def _sent(transfer: BankTransfer) -> int:
    """Dong of it that have left."""
    sent = transfer.refunds.filter(state=State.SENT)
    return int(sent.aggregate(sum=Sum("dong", default=0))["sum"])


def _note(
    refund: BankRefund, action: str, actor: str, before: dict[str, object], request_id: str
) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject=f"bank_transfer:{refund.transfer_id}",
        before=before,
        after={
            **{"refund": refund.pk, "dong": refund.dong, "to": refund.to},
            **{"reason": refund.reason, "reference": refund.reference},
        },
        request_id=request_id,
    )
