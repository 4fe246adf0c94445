"""Which requests a charge in the ledger is the sum of.

A batch of one account's usage is one transfer. Its requests lie between its first and its last,
but not all that do are its own: a long request is admitted before short ones and charged after
them. So each names its batch.
"""

import uuid
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from billing.books import archived, checkpoints, ledger
from billing.books.models import Transfer
from gateway.usage.models import UsageEvent


@dataclass(frozen=True, slots=True)
class Charge:
    """Of this account's requests, from the first to the last."""

    user_id: int
    first: uuid.UUID
    last: uuid.UUID

    def events(self) -> QuerySet[UsageEvent]:
        """Those in the database."""
        within = UsageEvent.objects.filter(user_id=self.user_id, id__range=(self.first, self.last))
        return within.filter(Q(batch=self.first) | Q(batch=None))


def find(user_id: int, transaction: str) -> Charge | None:
    """A charge of this account's (`txn_12`), in the archive too; None if it has no such charge.
    Raises Unavailable where the archive is needed and away."""
    number = transaction.removeprefix("txn_")
    if not (number.isascii() and number.isdecimal() and len(number) <= 18):
        return None
    made = _transfer(int(number))
    if made is None or made.debit.code != ledger.wallet_code(user_id) or "first" not in made.ref:
        return None
    first, last = (uuid.UUID(hex=made.ref[n].removeprefix("req_")) for n in ("first", "last"))
    return Charge(user_id, first, last)


def _transfer(number: int) -> Transfer | None:
    usage = Transfer.objects.filter(kind=Transfer.Kind.USAGE, pk=number).select_related("debit")
    kept = usage.first()
    if kept is None and number < checkpoints.transfers_floor():
        return archived.charge(number)
    return kept
