"""What customers send and are answered is sealed wherever it is kept."""

import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar

from django.db import transaction
from django.db.models import Model

from gateway.batches.models import BatchRequest, FilePiece
from hontoni.errors import NotFound
from hontoni.vault import Unreadable, Vault

_vault = Vault("files")
_AT_ONCE = 100
M = TypeVar("M", bound=Model)


def sealed(content: bytes) -> bytes:
    """As it is stored."""
    return _vault.seal_bytes(zlib.compress(content, 1))


def opened(stored: bytes | memoryview) -> bytes:
    """What was sealed. Raises NotFound where the key to it is gone."""
    try:
        return zlib.decompress(_vault.unseal_bytes(bytes(stored)))
    except (Unreadable, zlib.error):
        raise NotFound("It was sealed under a key that is gone.", code="file_unreadable") from None


def reseal() -> int:
    """Files and batches under the newest key, some at a time; how many rows. What no key opens is
    lost already, and left as it is."""
    return _reseal(FilePiece, ("content",)) + _reseal(BatchRequest, ("body", "answer"))


def _reseal(model: type[M], columns: Sequence[str]) -> int:
    count, after = 0, 0
    rows = model._default_manager.order_by("pk")
    while numbers := list(rows.filter(pk__gt=after).values_list("pk", flat=True)[:_AT_ONCE]):
        after, count = numbers[-1], count + len(numbers)
        _reseal_some(model, numbers, columns)
    return count


@transaction.atomic
def _reseal_some(model: type[M], numbers: Sequence[int], columns: Sequence[str]) -> None:
    rows = list(model._default_manager.select_for_update().filter(pk__in=numbers))
    for row in rows:
        for name in columns:
            if stored := bytes(getattr(row, name)):
                with suppress(Unreadable):
                    setattr(row, name, _vault.reseal_bytes(stored))
    model._default_manager.bulk_update(rows, columns)
