"""Money that staff give or take, with a reason. Every way to do it comes through here."""

from django.db import transaction

from billing.books import audit, ledger
from billing.books.models import Entry, Transfer
from hontoni import errors
from hontoni.money import DOLLAR, dollars

MOST = 100_000 * DOLLAR  # at a time, on a page or by /api: a typing error has an end


def check_amount(amount: int) -> None:
    """Raises BadRequest for nothing, and for more than MOST, of nano-dollars."""
    if not 0 < abs(amount) <= MOST:
        raise errors.BadRequest(
            "Not 0, and up to %(most)s.", param="amount", about={"most": f"${dollars(MOST)}"}
        )


def adjust(
    *, key: str, user_id: int, amount: int, reason: str, actor: str, request_id: str = ""
) -> tuple[Transfer, bool]:
    """Credit (or debit, if negative) an account in nano-dollars, and audit it. Twice is once.

    Answers and raises as `ledger.post`; raises BadRequest without a reason. The customer sees it.
    """
    if not reason.strip():
        raise errors.BadRequest("A reason is required.", param="reason")
    with transaction.atomic():
        transfer, created = ledger.post(
            key=key,
            kind=Transfer.Kind.ADJUSTMENT,
            user_id=user_id,
            amount=amount,
            reason=reason,
            actor=actor,
        )
        if created:
            _audit(transfer, user_id, request_id)
    return transfer, created


def _audit(transfer: Transfer, user_id: int, request_id: str) -> None:
    entry = Entry.objects.get(transfer=transfer, account__code=ledger.wallet_code(user_id))
    audit.record(
        actor=transfer.actor,
        action="adjust balance",
        subject=f"user:{user_id}",
        before={"balance": dollars(entry.balance_after - entry.amount)},
        after={"balance": dollars(entry.balance_after), "reason": transfer.reason},
        request_id=request_id,
    )
