"""A month of the books (UTC) is closed: summed up, signed, and nothing is booked into it any more.

* Months are closed in order, once they have been over for GRACE, and only if all accounts add up
  to nothing. Each statement has the digest of the one before it.
* A statement has, by ledger account (all wallets are one), what it opened with, what moved by
  kind, and what it closed with; the transfers, and the invoices with their tax. Nano-dollars.
* From then on the database refuses a transfer or an invoice that is dated in that month (migration
  0017), whoever writes it. A correction is a transfer of the month that is open.
* `problems` adds every closed month up again: what was signed must still be so.

Usage is of the month in which it was charged, as in customers' statements.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Sum

from billing.books import audit
from billing.books.models import ClosedMonth, Transfer
from billing.books.monthly import PLAIN, first_number
from billing.invoices.models import Invoice
from hontoni import errors, months
from hontoni.vault import Seal, is_signed

SEAL = Seal("month")
GRACE = timedelta(hours=1)  # no transaction, and no clock of a node, is so late
WALLETS = "wallets"
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)

Sums = dict[tuple[str, str], tuple[int, int]]  # (account, kind) -> (entries, nano-dollars)

# Entries, and what checkpoints brought forward of those that are in the archive.
_MOVED = """
SELECT CASE WHEN a.code LIKE 'wallet:%%' THEN 'wallets' ELSE a.code END AS account, moved.kind,
       sum(moved.entries), sum(moved.amount)
FROM (
    SELECT e.account_id, t.kind, count(*) AS entries, sum(e.amount) AS amount
    FROM billing_entry e JOIN billing_transfer t ON t.id = e.transfer_id
    WHERE t.created_at >= %s AND t.created_at < %s
      AND (t.id < {plain} OR t.id >= {first} AND t.id < {last})
      AND (e.id < {plain} OR e.id >= {first} AND e.id < {last}) GROUP BY 1, 2
    UNION ALL
    SELECT account_id, 'usage', sum(last_version - first_version + 1), sum(amount)
    FROM billing_broughtforward WHERE last_at >= %s AND last_at < %s GROUP BY 1
) AS moved JOIN billing_ledgeraccount a ON a.id = moved.account_id GROUP BY 1, 2
"""


def closed_until() -> datetime | None:
    """The first moment that is not closed; None: no month is."""
    return ClosedMonth.objects.order_by("-month").values_list("ends_at", flat=True).first()


def next_month(now: datetime) -> datetime | None:
    """The month to close next, if it is over; None where there is none."""
    month = closed_until() or _first_month()
    return month if month and months.shifted(month, 1) + GRACE <= now else None


def _first_month() -> datetime | None:
    """In which something was booked first."""
    first = Transfer.objects.order_by("pk").values_list("created_at", flat=True).first()
    return months.begin(first) if first else None


def close(month: datetime, *, actor: str, now: datetime, request_id: str = "") -> ClosedMonth:
    """Close it. Raises Conflict for any month but the next, for one that is not over, and where
    the books do not balance."""
    due = next_month(now)
    if due != month:
        name = months.name(due) if due else "none yet"
        raise errors.Conflict(
            "Months are closed in order: next is %(name)s.", about={"name": name}
        )
    statement = _statement(month, now, actor)
    if sum(account["closing"] for account in statement["accounts"].values()):
        raise errors.Conflict("The books do not balance: see `manage.py reconcile`.")
    text = json.dumps(statement, sort_keys=True)
    public, signature = SEAL.sign(text.encode())
    with transaction.atomic():
        # Of two who close it at once one does: the month is unique.
        closed, created = ClosedMonth.objects.get_or_create(
            month=month.date(),
            defaults={
                "ends_at": months.shifted(month, 1),
                "statement": text,
                "public_key": public,
                "signature": signature,
                "closed_by": actor,
            },
        )
        if not created:
            raise errors.Conflict(
                "%(closed)s was closed by %(closed_by)s a moment ago.",
                about={"closed": closed, "closed_by": closed.closed_by},
            )
        audit.record(
            actor=actor,
            action="close month",
            subject=f"month:{closed}",
            before={"closed": False},
            after={"closed": True, "digest": digest(closed)},
            request_id=request_id,
        )
    return closed


def contents(closed: ClosedMonth) -> dict[str, Any]:
    """Its statement, read."""
    found: dict[str, Any] = json.loads(closed.statement)
    return found


def digest(closed: ClosedMonth) -> str:
    """By which the next one names it."""
    return hashlib.sha256(f"{closed.statement}\n{closed.signature}".encode()).hexdigest()


# -- What a month came to ------------------------------------------------------------------------


def _statement(month: datetime, now: datetime, actor: str) -> dict[str, Any]:
    before = ClosedMonth.objects.order_by("-month").first()
    return {
        "month": months.name(month),
        "unit": "nano-dollars",
        "previous": digest(before) if before else "",
        "closed_at": now.isoformat(),
        "closed_by": actor,
        **figures(month, contents(before) if before else None),
    }


def figures(month: datetime, before: dict[str, Any] | None) -> dict[str, Any]:
    """What it came to; `before` is the statement of the month before it."""
    end = months.shifted(month, 1)
    moved = _moved(month, end)
    opening = _closing(before) if before else _totals(_moved(_BEGINNING, month))
    names = sorted({account for account, _kind in moved} | opening.keys())
    accounts = {}
    for name in names:
        kinds = {
            k: amount for (account, k), (_, amount) in sorted(moved.items()) if account == name
        }
        opened = opening.get(name, 0)
        accounts[name] = {
            "opening": opened,
            "moved": kinds,
            "closing": opened + sum(kinds.values()),
        }
    return {
        "accounts": accounts,
        "transfers": _transfers(moved),
        "invoices": _invoices(month, end),
    }


def _moved(since: datetime, until: datetime) -> Sums:
    span = [_plain(since), _plain(until)]
    with connection.cursor() as cursor:
        cursor.execute(_MOVED.format(**_ids(since, until)), span * 2)
        rows = cursor.fetchall()
    return {
        (account, kind): (int(entries), int(amount)) for account, kind, entries, amount in rows
    }


def _ids(since: datetime, until: datetime) -> dict[str, int]:
    """In which transfers and their entries of that time lie, where ids tell their month: it is
    that of the database's clock, and the moment that of a node's."""
    near = [months.shifted(months.begin(each), by) for each, by in ((since, -1), (until, 2))]
    first, last = map(first_number, near)
    return {"plain": PLAIN, "first": first, "last": last}


def _plain(moment: datetime) -> Any:
    """As the database compares it: SQLite keeps moments as text."""
    return connection.ops.adapt_datetimefield_value(moment)


def _closing(statement: dict[str, Any]) -> dict[str, int]:
    return {name: account["closing"] for name, account in statement["accounts"].items()}


def _totals(moved: Sums) -> dict[str, int]:
    found: dict[str, int] = {}
    for (account, _kind), (_entries, amount) in moved.items():
        found[account] = found.get(account, 0) + amount
    return found


def _transfers(moved: Sums) -> dict[str, dict[str, int]]:
    """By kind: each has one side in a wallet."""
    return {
        kind: {"count": count, "wallets": amount}
        for (account, kind), (count, amount) in sorted(moved.items())
        if account == WALLETS
    }


def _invoices(since: datetime, until: datetime) -> dict[str, dict[str, int]]:
    rows = (
        Invoice.objects.filter(issued_at__gte=since, issued_at__lt=until)
        .order_by("kind")
        .values("kind")
        .annotate(count=Count("pk"), all=Sum("total"), taxes=Sum("tax"))
    )
    return {
        row["kind"]: {"count": row["count"], "total": row["all"], "tax": row["taxes"]}
        for row in rows
    }


# -- The proof -----------------------------------------------------------------------------------


def problems(since: datetime | None = None) -> Iterator[str]:
    """Whatever is otherwise than was signed; months of before `since` are not added up again."""
    before, previous = None, ""
    for closed in ClosedMonth.objects.order_by("month"):
        if not is_signed(closed.statement.encode(), closed.public_key, closed.signature):
            yield f"the statement of {closed} is not what was signed"
            continue
        signed = contents(closed)
        if signed["previous"] != previous:
            yield f"the statement of {closed} does not follow on the one before it"
        month = months.of_day(closed.month)
        if since is not None and month < since:
            before, previous = signed, digest(closed)
            continue
        now = figures(month, before)
        for part in ("accounts", "transfers", "invoices"):
            if signed[part] != now[part]:
                yield f"{closed} is closed, and its {part} are not what was signed"
        before, previous = signed, digest(closed)
    last = ClosedMonth.objects.order_by("-month").first()
    if last is not None and not SEAL.is_ours(last.public_key):
        yield f"the statement of {last} is signed by a key that is not among CREDENTIAL_KEYS"
