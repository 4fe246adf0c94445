"""What customers send and are answered is sealed wherever it is kept."""

import zlib

from hontoni.errors import NotFound
from hontoni.vault import Unreadable, Vault

_vault = Vault("files")


def sealed(content: bytes) -> bytes:
    """As it is stored."""
    return _vault.seal_bytes(zlib.compress(content, 1))


def opened(stored: bytes) -> bytes:
    """What was sealed. Raises NotFound where the key to it is gone."""
    try:
        return zlib.decompress(_vault.unseal_bytes(bytes(stored)))
    except (Unreadable, zlib.error):
        raise NotFound("It was sealed under a key that is gone.", code="file_unreadable") from None
