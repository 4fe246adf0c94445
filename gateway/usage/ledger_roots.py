"""Hourly roots of the ledger, and the path from a request to one of them.

A leaf is a transfer; that of a charge of usage holds the root of its requests, so that a path
leads from one request, through its charge, to a root that everybody has seen. Roots are chained:
each stands for all before it. `hontoni/verify.py` walks the path without us.

Transfers get their ids before they are committed. So a root takes in only what is older than
SETTLED, by when nothing with a lower id can still be under way; `problems` would tell.
"""

import hmac
import secrets
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max

from billing.books import checkpoints
from billing.books.models import LedgerRoot, Transfer
from gateway.usage.models import UsageEvent
from hontoni import merkle
from hontoni.money import dollars

Charged = tuple[UUID, int]  # a request, and its nano-dollars

SETTLED = timedelta(minutes=10)
MOST = 50_000  # transfers of a root
_NOTHING = bytes(32)  # what the first root is chained to
_CHECKED = timedelta(days=2)  # how far back the nightly proof adds up again


def make(now: datetime) -> int:
    """Take in what is settled since the last root; how many roots that made."""
    made = 0
    while _next(now):
        made += 1
    return made


def _next(now: datetime) -> bool:
    last = LedgerRoot.objects.defer("leaves").last()
    new = Transfer.objects.filter(pk__gt=last.last if last else 0).order_by("pk")
    until = new.filter(created_at__lt=now - SETTLED).aggregate(last=Max("pk"))["last"]
    if until is None:
        return False
    rows = list(new.filter(pk__lte=until).select_related("debit", "credit")[:MOST])
    salt = secrets.token_bytes(32)
    leaves = _leaves(rows, salt)
    root = merkle.root(leaves)
    before = bytes.fromhex(last.chain) if last else _NOTHING
    try:
        with transaction.atomic():
            LedgerRoot.objects.create(
                first=rows[0].pk,
                last=rows[-1].pk,
                transfers=len(rows),
                root=root.hex(),
                chain=merkle.chain(before, root).hex(),
                salt=salt,
                leaves=b"".join(leaves),
                made_at=now,
            )
    except IntegrityError:  # another worker was faster
        return False
    return True


def _leaves(rows: Sequence[Transfer], salt: bytes) -> list[bytes]:
    requests = _requests(rows)
    return [
        merkle.leaf(_shown(row, requests.get(_batch(row), []), salt), _nonce(salt, str(row.pk)))
        for row in rows
    ]


def _requests(rows: Sequence[Transfer], **whose: int) -> dict[UUID | None, list[Charged]]:
    """What the charges of usage among these are the sums of, by each one's first request."""
    charges = {batch: row for row in rows if (batch := _batch(row)) is not None}
    found: defaultdict[UUID | None, list[Charged]] = defaultdict(list)
    if not charges:
        return found
    last = max(_id(row.ref["last"]) for row in charges.values())
    within = UsageEvent.objects.filter(pk__range=(min(charges), last), **whose).order_by("pk")
    for pk, batch, cost in within.values_list("pk", "batch", "cost").iterator():
        if batch in charges:
            found[batch].append((pk, cost))
    return found


def _batch(row: Transfer) -> UUID | None:
    """What the requests of a charge name it by; None of what is no charge, or of charges that
    were made before they said."""
    known = row.kind == Transfer.Kind.USAGE and {"first", "last"} <= row.ref.keys()
    return _id(row.ref["first"]) if known else None


def _id(request_id: str) -> UUID:
    return UUID(hex=request_id.removeprefix("req_"))


def _shown(row: Transfer, requests: list[Charged], salt: bytes) -> dict[str, Any]:
    """A transfer as it is a leaf."""
    return {
        "id": f"txn_{row.pk}",
        "kind": row.kind,
        "amount": dollars(row.amount),
        "debit": row.debit.code,
        "credit": row.credit.code,
        "created_at": row.created_at.isoformat(),
        "requests": merkle.root(_request_leaves(requests, salt)).hex() if requests else None,
    }


def _request_leaves(requests: list[Charged], salt: bytes) -> list[bytes]:
    return [
        merkle.leaf(
            {"request_id": f"req_{pk.hex}", "charged": dollars(cost)}, _nonce(salt, pk.hex)
        )
        for pk, cost in requests
    ]


def _nonce(salt: bytes, name: str) -> bytes:
    return hmac.digest(bytes(salt), name.encode(), sha256)


# -- The path of one request ---------------------------------------------------------------------


def proof(event: UsageEvent) -> dict[str, Any] | None:
    """From a request to the root it is under; None if it was not charged, is not under one yet,
    or is older than charges name their requests."""
    if event.batch is None:
        return None
    charge = (
        Transfer.objects.filter(key=f"usage:req_{event.batch.hex}")
        .select_related("debit", "credit")
        .first()
    )
    if charge is None:
        return None
    return path(event, charge, _requests([charge], user_id=event.user_id)[event.batch])


def path(event: UsageEvent, charge: Transfer, requests: list[Charged]) -> dict[str, Any] | None:
    """The same of a request, its charge, and all requests of that, wherever they were found."""
    root = LedgerRoot.objects.filter(last__gte=charge.pk).first()
    at = next((at for at, (pk, _) in enumerate(requests) if pk == event.pk), None)
    if root is None or root.first > charge.pk or at is None:
        return None
    salt, leaves = bytes(root.salt), _split(bytes(root.leaves))
    shown, nonce = _shown(charge, requests, salt), _nonce(salt, str(charge.pk))
    leaf = merkle.leaf(shown, nonce)
    if leaf not in leaves:
        return None
    return {
        "request": {
            "nonce": _nonce(salt, event.pk.hex).hex(),
            "path": merkle.path(_request_leaves(requests, salt), at),
        },
        "charge": {
            "transfer": shown,
            "nonce": nonce.hex(),
            "path": merkle.path(leaves, leaves.index(leaf)),
        },
        "root": root.root,
        "root_id": root.pk,
    }


def _split(leaves: bytes) -> list[bytes]:
    return [leaves[at : at + 32] for at in range(0, len(leaves), 32)]


# -- The nightly proof ---------------------------------------------------------------------------


def problems(now: datetime) -> Iterator[str]:
    """What the roots of the last days say otherwise than the ledger, one sentence each."""
    recent = LedgerRoot.objects.filter(made_at__gte=now - _CHECKED)
    recent = recent.filter(first__gte=checkpoints.transfers_floor())  # of those that are here
    for root in recent.iterator(chunk_size=1):
        rows = Transfer.objects.filter(pk__range=(root.first, root.last)).order_by("pk")
        if rows.count() != root.transfers:
            yield f"root {root.pk} is of {root.transfers} transfers, there are {rows.count()}"
            continue
        leaves = _leaves(list(rows.select_related("debit", "credit")), bytes(root.salt))
        if merkle.root(leaves).hex() != root.root:
            yield f"root {root.pk} is not what its transfers make"
