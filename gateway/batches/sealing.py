"""What customers send and are answered is sealed wherever it is kept."""

import zlib
from collections.abc import Sequence
from contextlib import suppress

from django.db import transaction

from gateway.batches.models import BatchRequest, FilePiece
from hontoni.errors import NotFound
from hontoni.vault import Unreadable, Vault

_vault = Vault("files")
_AT_ONCE = 100


def sealed(content: bytes) -> bytes:
    """As it is stored."""
    return _vault.seal_bytes(zlib.compress(content, 1))


def opened(stored: bytes) -> bytes:
    """What was sealed. Raises NotFound where the key to it is gone."""
    try:
        return zlib.decompress(_vault.unseal_bytes(bytes(stored)))
    except (Unreadable, zlib.error):
        raise NotFound("It was sealed under a key that is gone.", code="file_unreadable") from None


def reseal() -> int:
    """Files and batches under the newest key, some at a time; how many rows. What no key opens is
    lost already, and left as it is."""
    count = 0
    for model, columns in ((FilePiece, ("content",)), (BatchRequest, ("body", "answer"))):
        after = 0
        rows = model.objects.order_by("pk").values_list("pk", flat=True)
        while numbers := list(rows.filter(pk__gt=after)[:_AT_ONCE]):
            after = numbers[-1]
            count += _resealed(model, numbers, columns)
    return count


@transaction.atomic
def _resealed(
    model: type[FilePiece] | type[BatchRequest], numbers: Sequence[int], columns: Sequence[str]
) -> int:
    rows = list(model.objects.select_for_update().filter(pk__in=numbers))
    for row in rows:
        for name in columns:
            if stored := bytes(getattr(row, name)):
                with suppress(Unreadable):
                    setattr(row, name, _vault.reseal_bytes(stored))
    model.objects.bulk_update(rows, columns)
    return len(rows)
