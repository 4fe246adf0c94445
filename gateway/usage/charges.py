"""Which requests a charge in the ledger is the sum of.

A batch of one account's usage is one transfer. Its requests lie between its first and its last,
but not all that do are its own: a long request is admitted before short ones and charged after
them. So each names its batch.
"""

import uuid

from django.db.models import Q, QuerySet

from billing.books import ledger
from billing.books.models import Transfer
from gateway.usage.models import UsageEvent


def requests_of(user_id: int, transaction: str) -> QuerySet[UsageEvent] | None:
    """The requests of a charge of this account's (`txn_12`); None if it has no such charge."""
    number = transaction.removeprefix("txn_")
    if not (number.isascii() and number.isdecimal() and len(number) <= 18):
        return None
    mine = Transfer.objects.filter(
        kind=Transfer.Kind.USAGE, debit__code=ledger.wallet_code(user_id), pk=int(number)
    )
    charge = mine.first()
    if charge is None or "first" not in charge.ref:
        return None
    first, last = (uuid.UUID(hex=charge.ref[n].removeprefix("req_")) for n in ("first", "last"))
    within = UsageEvent.objects.filter(user_id=user_id, id__range=(first, last))
    return within.filter(Q(batch=first) | Q(batch=None))
