"""Charges for usage that are in the archive, and their entries, read out of its files.

What was taken out of an account's entries is known by its numbers (brought_forward.py), and each
run of them by the checkpoint with which it went. So a list knows which file has what it lacks.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson

from billing.books import checkpoints
from billing.books.models import BroughtForward, Checkpoint, Entry, LedgerAccount, Transfer
from hontoni import months, storage
from hontoni.errors import Unavailable

logger = logging.getLogger(__name__)

TRANSFERS, ENTRIES = 1, 2  # the places of a checkpoint's files
_NEAR = 2  # checkpoints in which a charge may be: of its own month, or of the next


@contextmanager
def reading() -> Iterator[None]:
    """Where the archive is away, that is said as of any other store. Raises Unavailable."""
    try:
        yield
    except storage.errors() as error:
        logger.error("archive.away: %r", error)
        raise Unavailable("What is in the archive cannot be read right now. Try again.") from error


@contextmanager
def file(checkpoint: Checkpoint, place: int) -> Iterator[Any]:
    """One of a checkpoint's files, open: hontoni.archive_files.Reader. Raises as it."""
    from hontoni.archive_files import opened  # Arrow is 50 MB, needed for nothing else

    with opened(checkpoints.contents(checkpoint)["files"][place]["name"]) as found:
        yield found


@reading()
def check(since: datetime | None = None) -> None:
    """Before a file is sent that reaches back so far (None: to the beginning): that the archive
    can be read, if it is needed. Raises Unavailable."""
    last = checkpoints.newest()
    if last and (since is None or since < months.shifted(months.of_day(last.month), 1)):
        with file(last, TRANSFERS):
            pass


@reading()
def charge(number: int) -> Transfer | None:
    """A charge for usage that is in the archive alone. Raises Unavailable."""
    near = Checkpoint.objects.filter(transfers_until__gt=number).order_by("number")
    for each in near[:_NEAR]:
        with file(each, TRANSFERS) as transfers:
            for row in transfers.rows(id=(number, number)):
                return _whole(row) if row["kind"] == Transfer.Kind.USAGE else None
    return None


def _whole(row: dict[str, Any]) -> Transfer:
    """With the accounts of its sides."""
    sides = LedgerAccount.objects.in_bulk([row["debit"], row["credit"]], field_name="code")
    found = transfer_of(row)
    found.debit, found.credit = sides[row["debit"]], sides[row["credit"]]
    return found


def entries(
    account: LedgerAccount, first: int, last: int, *, most: int, ascending: bool = False
) -> Iterator[Entry]:
    """At least so many of an account's with these numbers, if it has them, the newest first, or
    the oldest, each with its transfer. Raises what the storage raises."""
    lines = BroughtForward.objects.filter(
        account=account, first_version__lte=last, last_version__gte=first
    ).select_related("checkpoint")
    order = "first_version" if ascending else "-first_version"
    ordered = lines.order_by(order)[:most]  # none is empty
    for checkpoint, own in groupby(ordered, key=attrgetter("checkpoint")):
        with ExitStack() as files:
            sides = files.enter_context(file(checkpoint, ENTRIES))
            transfers = files.enter_context(file(checkpoint, TRANSFERS))
            for line in own:
                numbers = max(first, line.first_version), min(last, line.last_version)
                for row in sides.rows(
                    ascending=ascending,
                    account=(account.code, account.code),
                    account_version=numbers,
                ):
                    yield _entry_of(row, account, transfers)


def charges(since: datetime, until: datetime) -> Iterator[Transfer]:
    """Those made from one moment until before another, by their numbers. Raises what the storage
    raises."""
    near = [months.shifted(months.begin(each), by) for each, by in ((since, -1), (until, 1))]
    found = Checkpoint.objects.filter(month__range=[each.date() for each in near])
    for checkpoint in found.order_by("number"):
        with file(checkpoint, TRANSFERS) as transfers:
            for row in transfers.rows(created_at=(since, until)):
                if row["kind"] == Transfer.Kind.USAGE and row["created_at"] < until:
                    yield transfer_of(row)


def transfer_of(row: dict[str, Any]) -> Transfer:
    """As it was in the database, as far as it is shown."""
    return Transfer(
        pk=row["id"],
        key=row["key"],
        kind=row["kind"],
        amount=row["amount"],
        debit=LedgerAccount(pk=1, code=row["debit"]),
        credit=LedgerAccount(pk=2, code=row["credit"]),
        ref=orjson.loads(row["ref"]),
        actor=row["actor"],
        reason=row["reason"],
        created_at=row["created_at"],
    )


def _entry_of(row: dict[str, Any], account: LedgerAccount, transfers: Any) -> Entry:
    number = row["transfer_id"]
    (moved,) = transfers.rows(id=(number, number))
    return Entry(
        account=account,
        account_version=row["account_version"],
        transfer=transfer_of(moved),
        amount=row["amount"],
        balance_after=row["balance_after"],
    )
