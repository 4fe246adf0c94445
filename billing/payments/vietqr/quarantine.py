"""What staff do about a transfer that fitted no order: put it on a balance, or note that it goes
back. Either is one click, once, and audited."""

from collections.abc import Mapping

from django.db import transaction
from django.utils.translation import gettext_noop

from accounts.models import User
from billing.books import audit
from billing.payments.vietqr import dong, rates, settling
from billing.payments.vietqr.models import BankOrder, BankTransfer
from hontoni import errors
from hontoni.money import dollars

State = BankTransfer.State


def suggested(transfer: BankTransfer) -> tuple[User | None, int | None]:
    """Whose it seems to be, and at which rate: the order's while it was good for it, else
    today's."""
    order = transfer.order
    if order is None:
        return None, rates.current()
    kept = transfer.sent_at <= settling.good_until(order)
    return order.user, order.rate if kept else rates.current()


@transaction.atomic
def book(
    pk: int, *, user_id: int, rate: int, note: str, actor: str, request_id: str = ""
) -> BankTransfer:
    """Put it on that account's balance, at that rate.

    Raises Conflict where somebody was faster, BadRequest without a note or for a rate that cannot
    be, Forbidden for an account that is closed, and as the ledger.
    """
    _needs(note)
    found = locked(pk)
    owner = User.objects.get(pk=user_id)
    if not owner.is_active:
        raise errors.Forbidden("This account is closed.", code="account_closed")
    if rate not in rates.SANE:
        raise errors.BadRequest(
            gettext_noop("A rate is from 1,000 to 999,999 dong for a dollar."), param="rate"
        )
    before = {"state": found.state, "problem": found.problem}
    amount = _worth(found, user_id, rate)
    settling.book(found, user_id, amount, rate, actor=actor, note=note)
    _pay(found, user_id)
    after = {
        **{"user": user_id, "amount": dollars(amount), "dong": found.dong, "rate": rate},
        "note": note,
    }
    _note(found, "book transfer", before, after, actor, request_id)
    return found


def _worth(found: BankTransfer, user_id: int, rate: int) -> int:
    """What its order says, if all of that is paid by it; else what so many dong buy."""
    order = found.order
    if order and (order.user_id, order.dong, order.rate) == (user_id, found.dong, rate):
        return order.amount
    amount = dong.worth(found.dong, rate)
    if amount < 1:
        raise errors.BadRequest(gettext_noop("So little buys nothing."), param="rate")
    return amount


def _pay(found: BankTransfer, user_id: int) -> None:
    """Its order is paid then, and nothing else can be credited for it by itself."""
    if found.order is not None and found.order.user_id == user_id:
        BankOrder.objects.filter(pk=found.order.pk).exclude(state=BankOrder.State.PAID).update(
            state=BankOrder.State.PAID, ended_at=found.decided_at
        )


def locked(pk: int) -> BankTransfer:
    """One that waits for a person, until the transaction ends. Raises Conflict if none does."""
    # In the order of settling.py: what is paid, the transfer, and then the books.
    of = BankOrder.objects.filter(transfers=pk).values_list("pk", flat=True)
    BankOrder.objects.select_for_update().filter(pk__in=list(of)).first()
    found = BankTransfer.objects.select_for_update().get(pk=pk)
    if found.state != State.QUARANTINED:
        raise errors.Conflict(gettext_noop("Somebody has decided about it already."))
    return found


def _needs(note: str) -> None:
    if not note.strip():
        raise errors.BadRequest("A reason is required.", param="reason")


def _note(
    found: BankTransfer,
    action: str,
    before: Mapping[str, object],
    after: Mapping[str, object],
    actor: str,
    request_id: str,
) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject=f"bank_transfer:{found.pk}",
        before=before,
        after=after,
        request_id=request_id,
    )
