"""Files of customers: sealed in pieces, counted by their bytes, gone when their time is over.

Nobody but their owner finds one. A file of a batch's results is made of the batch's answers as it
is read. Money never hangs on a file: a batch has its own copy of what it runs.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Sum
from django.db.models.functions import Greatest
from django.utils import timezone

from accounts.models import User
from gateway.batches import results
from gateway.batches.models import Batch, FilePiece, StoredFile
from gateway.batches.sealing import opened, sealed
from hontoni.errors import BadRequest, NotFound, TooLarge

PURPOSE, OUTPUT = "batch", "batch_output"
LEAST_SECONDS, MOST_SECONDS = 3600, 30 * 86_400  # as at OpenAI
_PIECE = 256 * 1024
_LEAST_BYTES = 1024  # what anything kept counts as: its rows take room, too


def keeps_seconds(given: int | None = None) -> int:
    """How long a file is kept: what its owner says, never longer than FILES_DAYS."""
    most = int(settings.FILES_DAYS * 86_400)
    return most if given is None else min(most, given)


def used_bytes(user_id: int) -> int:
    """Of an account's files, and of its batches' requests and answers."""
    size = Sum(Greatest(F("bytes"), _LEAST_BYTES))
    uploaded = StoredFile.objects.filter(user_id=user_id, batch=None).aggregate(n=size)
    batched = Batch.objects.filter(user_id=user_id, forgotten_at=None).aggregate(n=size)
    return int(uploaded["n"] or 0) + int(batched["n"] or 0)


def one_at_a_time(user_id: int) -> None:
    """Until the transaction ends nobody else adds to what is counted of the account."""
    User.objects.select_for_update(no_key=True).get(pk=user_id)


def make_room(user_id: int, size: int) -> None:
    """Raises TooLarge where the account may not have so many bytes more."""
    most: int = settings.FILES_ACCOUNT_BYTES
    if used_bytes(user_id) + max(size, _LEAST_BYTES) > most:
        raise TooLarge(
            f"Your files and batches may have {most // 1024 // 1024} MB together. "
            "Delete some, or wait until they expire.",
            code="file_storage_full",
        )


@transaction.atomic
def upload(user_id: int, name: str, content: bytes, seconds: int | None = None) -> StoredFile:
    """Keep a file. Raises BadRequest, TooLarge."""
    if not content:
        raise BadRequest("The file is empty.", param="file")
    one_at_a_time(user_id)
    make_room(user_id, len(content))
    now = timezone.now()
    file = StoredFile.objects.create(
        id=f"file-{uuid.uuid4().hex}",
        user_id=user_id,
        name=name[:255] or "file",
        purpose=PURPOSE,
        bytes=len(content),
        created_at=now,
        expires_at=now + timedelta(seconds=keeps_seconds(seconds)),
    )
    starts = range(0, len(content), _PIECE)
    FilePiece.objects.bulk_create(
        FilePiece(file=file, number=number, content=sealed(content[at : at + _PIECE]))
        for number, at in enumerate(starts)
    )
    return file


def of(user_id: int, now: datetime | None = None) -> models.QuerySet[StoredFile]:
    """The files of an account that have not expired, the newest first."""
    return StoredFile.objects.filter(user_id=user_id, expires_at__gt=now or timezone.now())


def find(user_id: int, file_id: str) -> StoredFile:
    """Raises NotFound."""
    found = of(user_id).select_related("batch").filter(pk=file_id.replace("\0", "")).first()
    if found is None:
        raise NotFound(
            f"No such File object: {file_id[:100]}", code="file_not_found", param="file_id"
        )
    return found


def content(file: StoredFile) -> Iterator[bytes]:
    """Its bytes, a part at a time. Raises NotFound."""
    if file.batch is not None:
        yield from results.of(file.batch, errors=file.errors)
        return
    numbers = file.pieces.order_by("number").values_list("number", flat=True)
    for number in list(numbers):
        piece = FilePiece.objects.get(file=file, number=number)
        yield opened(piece.content)


@transaction.atomic
def delete(user_id: int, file_id: str) -> None:
    """It is kept no longer; of a batch's results neither are the answers. Raises NotFound."""
    file = find(user_id, file_id)
    if file.batch is not None:
        results.forget(file.batch, errors=file.errors)
    file.delete()
