"""Transfers and entries by month, on Postgres (hontoni/partitions.py).

Their ids begin with the month in which their transaction began, by the database's clock; an entry
and its transfer are of one transaction, so they lie in the same month. Ids of before that are
smaller than all others.

A key is unique within a month by an index, and beyond it because whoever posts looks first, under
the lock of the wallet; what is not usage could be posted to two wallets at once, so a trigger has
the database look as well (migration 0014). The batches of usage are named by requests, which are
unique in all months.
"""

from datetime import UTC, datetime

from hontoni import months
from hontoni.partitions import Monthly

SPAN = 10**11  # ids a month
PLAIN = 12 * SPAN  # ids below do not tell their month
_FIRST_YEAR = 2000


def first_number(month: datetime) -> int:
    """The smallest id of a month."""
    return ((month.year - _FIRST_YEAR) * 12 + month.month - 1) * SPAN


def recent(now: datetime) -> str:
    """A condition on transfers' ids: made this month or the last, or before ids told the month.
    Batches of usage are posted within that time, so no other month needs be looked into."""
    return f"(id >= {first_number(months.shifted(months.begin(now), -1))} OR id < {PLAIN})"


def month_of(number: int | str) -> datetime:
    """The month an id lies in; of ids of before that, the year 2000."""
    return months.shifted(datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC), int(number) // SPAN)


def _first(month: datetime) -> str:
    return str(first_number(month))


TRANSFERS = Monthly("billing_transfer", _first, month_of, (("key",),))
ENTRIES = Monthly(
    "billing_entry",
    _first,
    month_of,
    (("account_id", "account_version"), ("transfer_id", "account_id")),
)
