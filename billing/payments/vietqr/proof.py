"""The proof of bank transfers, to the dong: what came is on balances, waits, or goes back; and the
books have what is on balances, and nothing else from a bank."""

from collections.abc import Iterator
from typing import Any

from django.db.models import CharField, Count, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Cast, Coalesce, Concat
from django.utils.translation import gettext_noop

from billing.books.ledger import COUNTERPARTS, Kind
from billing.books.models import LedgerAccount, Transfer
from billing.invoices.models import Invoice
from billing.payments.vietqr import dong
from billing.payments.vietqr.models import BankOrder, BankRefund, BankTransfer
from hontoni.money import DOLLAR

State = BankTransfer.State


def sums() -> dict[str, int]:
    """Dong that came, and where they are; they add up: `came` is all the others."""
    rows = BankTransfer.objects.order_by().values_list("state").annotate(sum=Sum("dong"))
    by_state = {state: int(sum_) for state, sum_ in rows}
    booked = by_state.get(State.BOOKED, 0)
    going, gone = _back(BankRefund.State.REQUESTED), _back(BankRefund.State.SENT)
    return {
        gettext_noop("came"): sum(by_state.values()),
        gettext_noop("on balances"): booked - going - gone,
        gettext_noop("in quarantine"): by_state.get(State.QUARANTINED, 0),
        gettext_noop("to be sent back"): by_state.get(State.RETURNING, 0) + going,
        gettext_noop("sent back"): by_state.get(State.RETURNED, 0) + gone,
    }


def _back(state: BankRefund.State) -> int:
    """Of what was on balances."""
    found = BankRefund.objects.filter(amount__gt=0, state=state)
    return int(found.aggregate(sum=Sum("dong", default=0))["sum"])


def problems() -> Iterator[str]:
    """Everything wrong; one sentence each."""
    yield from _transfers()
    yield from _orders()
    yield from _refunds()
    yield from _account()


def _key(prefix: str) -> Any:
    return Concat(Value(prefix), Cast(OuterRef("pk"), CharField()))


def _transfers() -> Iterator[str]:
    """What is booked is in the books, with an invoice, and worth its dong; what is not is not."""
    posted = Transfer.objects.filter(key=_key("vietqr:"))
    invoices = Invoice.objects.filter(transfer__key=_key("vietqr:"))
    rows: Any = BankTransfer.objects.select_related("order").annotate(
        posted=Subquery(posted.values("amount")[:1]),
        invoice=Subquery(invoices.values("number")[:1]),
    )
    for each in rows.exclude(state=State.BOOKED).exclude(posted=None):
        yield f"bank transfer {each.pk} is {each.state}, and {each.posted} of it is in the books"
    for each in rows.filter(state=State.BOOKED).iterator():
        if each.posted != each.amount:
            yield f"bank transfer {each.pk} of {each.amount} is credited with {each.posted}"
        if each.invoice is None:
            yield f"bank transfer {each.pk} of {each.amount} has no invoice"
        if not _is_worth(each):
            yield f"bank transfer {each.pk} of {each.dong} dong is not worth {each.amount}"


def _is_worth(each: BankTransfer) -> bool:
    """Less than a dong apart: an order in dollars is rounded up to whole dong, dong are rounded
    down to nano-dollars."""
    return (
        each.amount == dong.worth(each.dong, each.rate)
        or dong.price(each.amount, each.rate) == each.dong
        and each.amount * each.rate <= each.dong * DOLLAR
    )


def _orders() -> Iterator[str]:
    booked = Q(transfers__state=State.BOOKED, transfers__user=F("user"))
    rows = BankOrder.objects.annotate(paid=Count("transfers", filter=booked))
    for each in rows.filter(state=BankOrder.State.PAID, paid=0):
        yield f"bank order {each.code} is paid by nothing"
    for each in rows.exclude(state=BankOrder.State.PAID).filter(paid__gt=0):
        yield f"bank order {each.code} is {each.state}, and paid"


def _refunds() -> Iterator[str]:
    """Never more goes back than came, and what was on a balance is taken from it."""
    kept = ~Q(refunds__state=BankRefund.State.DECLINED)
    back: Any = Coalesce(Sum("refunds__dong", filter=kept), 0)
    for each in BankTransfer.objects.annotate(back=back).filter(back__gt=F("dong")):
        yield f"bank transfer {each.pk} of {each.dong} dong: {each.back} go back"
    taken = Transfer.objects.filter(key=_key("vietqr_refund:")).values("amount")[:1]
    rows: Any = BankRefund.objects.annotate(taken=Coalesce(Subquery(taken), 0))
    for refund in rows.exclude(amount=F("taken")):
        yield f"bank refund {refund.pk} of {refund.amount} took {refund.taken}"
    notes = Invoice.objects.filter(transfer__key=_key("vietqr_refund:")).values("number")[:1]
    sent: Any = BankRefund.objects.filter(state=BankRefund.State.SENT, amount__gt=0)
    for refund in sent.annotate(note=Subquery(notes)).filter(note=None):
        yield f"bank refund {refund.pk} of {refund.amount} has no credit note"


def _account() -> Iterator[str]:
    """All that the books have from a bank is of these transfers."""
    code = COUNTERPARTS[Kind.BANK_TOPUP]
    account = LedgerAccount.objects.filter(code=code).first()
    booked = BankTransfer.objects.aggregate(sum=Sum("amount", default=0))["sum"]
    kept = BankRefund.objects.exclude(state=BankRefund.State.DECLINED)
    back = kept.aggregate(sum=Sum("amount", default=0))["sum"]
    has = -account.balance if account else 0
    if has != booked - back:
        yield f"{code} has {has}, bank transfers {booked} less {back} that went back"
