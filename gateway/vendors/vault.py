"""Our credentials with the vendors at rest: see hontoni/vault.py."""

from hontoni.vault import Unreadable, Vault

_vault = Vault("gateway.credentials")
seal, unseal, reseal = _vault.seal, _vault.unseal, _vault.reseal

__all__ = ["Unreadable", "reseal", "seal", "unseal"]
