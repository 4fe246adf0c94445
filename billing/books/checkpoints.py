"""Checkpoints: what the books were before old usage was taken out of them, signed.

A checkpoint is a statement in JSON: its number and month, the digest of the one before it, up to
which ids usage is in the archive, the digests of the archive's files, and the digests of what was
brought forward (brought_forward.py here, gateway/archive there). The newest is signed by a key of
ours, and each names the one before it; so none can be changed, left out or added, and the proof of
the books (payments/reconcile.py) stands on their sums as it stood on the rows.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from billing.books import brought_forward
from billing.books.models import Checkpoint
from hontoni import months
from hontoni.vault import Seal, is_signed

SEAL = Seal("checkpoint")
_NOTHING = uuid.UUID(int=0)


def newest() -> Checkpoint | None:
    """The last one made."""
    return Checkpoint.objects.order_by("-number").first()


def usage_floor() -> uuid.UUID:
    """Requests with smaller ids are in the archive."""
    last = Checkpoint.objects.order_by("-number").values_list("usage_until", flat=True).first()
    return last or _NOTHING


def archived_until() -> datetime | None:
    """Usage of before that moment is in the archive; None: none is."""
    last = newest()
    return months.shifted(months.of_day(last.month), 1) if last else None


def transfers_floor() -> int:
    """Charges for usage with smaller ids are in the archive."""
    last = Checkpoint.objects.order_by("-number").values_list("transfers_until", flat=True).first()
    return last or 0


def containing(request: uuid.UUID) -> Checkpoint | None:
    """The one with which a request went into the archive, if it did."""
    return Checkpoint.objects.filter(usage_until__gt=request).order_by("number").first()


def contents(checkpoint: Checkpoint) -> dict[str, Any]:
    """Its statement, read."""
    found: dict[str, Any] = json.loads(checkpoint.statement)
    return found


def seal(
    month: datetime, *, transfers_until: int, usage_until: uuid.UUID, **signed: Any
) -> Checkpoint:
    """Sign and write down the next one, in the transaction that takes the rows out."""
    last = newest()
    number = last.number + 1 if last else 1
    statement = json.dumps(
        {
            "number": number,
            "month": months.name(month),
            "previous": digest(last) if last else "",
            "transfers_until": transfers_until,
            "usage_until": usage_until.hex,
            **signed,
        },
        sort_keys=True,
    )
    public, signature = SEAL.sign(statement.encode())
    return Checkpoint.objects.create(
        number=number,
        month=month.date(),
        transfers_until=transfers_until,
        usage_until=usage_until,
        statement=statement,
        public_key=public,
        signature=signature,
    )


def digest(checkpoint: Checkpoint) -> str:
    """By which the next one names it."""
    return digest_of([checkpoint.statement, checkpoint.signature])


def digest_of(lines: Iterable[str]) -> str:
    """SHA-256 of lines of text."""
    found = hashlib.sha256()
    for line in lines:
        found.update(line.encode() + b"\n")
    return found.hexdigest()


# -- The proof -----------------------------------------------------------------------------------


def problems() -> Iterator[str]:
    """Whatever is wrong with the chain, and with what was brought forward by it."""
    before, last = "", None
    for number, each in enumerate(Checkpoint.objects.order_by("number"), 1):
        yield from _faults(each, number, before)
        signed = contents(each) if is_signed_by(each) else {}
        carried = digest_of(brought_forward.lines(each.pk))
        if signed and signed["ledger"]["brought_forward"] != carried:
            yield f"{each}: what was brought forward is not what it says"
        before, last = digest(each), each
    if last is not None and not SEAL.is_ours(last.public_key):
        yield f"{last} is signed by a key that is not among CREDENTIAL_KEYS"


def is_signed_by(checkpoint: Checkpoint) -> bool:
    """Whether it is what its own key signed."""
    text = checkpoint.statement.encode()
    return is_signed(text, checkpoint.public_key, checkpoint.signature)


def _faults(checkpoint: Checkpoint, number: int, before: str) -> Iterator[str]:
    if not is_signed_by(checkpoint):
        yield f"{checkpoint} is not what was signed"
        return
    signed = contents(checkpoint)
    row = {
        "number": checkpoint.number,
        "month": f"{checkpoint.month:%Y-%m}",
        "transfers_until": checkpoint.transfers_until,
        "usage_until": checkpoint.usage_until.hex,
    }
    if any(signed[name] != value for name, value in row.items()) or checkpoint.number != number:
        yield f"{checkpoint} stands for something else than was signed"
    if signed["previous"] != before:
        yield f"{checkpoint} does not follow on the one before it"
