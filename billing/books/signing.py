"""What we sign documents with: Ed25519 keys of this installation, private halves sealed.

One key signs at a time; those before it stay published, so that what they signed stays good. The
first is made when it is first needed.
"""

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.books.models import SigningKey
from hontoni import canonical, errors
from hontoni.vault import Unreadable, Vault

_vault = Vault("billing.signing")


def signed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its signature. Raises Unavailable if no key can be opened."""
    key = _current()
    try:
        private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(_vault.unseal(key.sealed)))
    except Unreadable as error:
        raise errors.Unavailable("Receipts cannot be signed: no key opens.") from error
    signature = private.sign(canonical.encode(document))
    named = {"algorithm": "Ed25519", "key_id": key.key_id, "value": _encoded(signature)}
    return {**document, "signature": named}


def published() -> list[dict[str, Any]]:
    """The public halves, as JSON Web Keys (RFC 8037), the newest first."""
    if not SigningKey.objects.exists():
        _current()
    return [
        {
            "kid": key.key_id,
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "x": _encoded(bytes(key.public)),
            "made_at": key.made_at.isoformat(),
            "retired_at": key.retired_at and key.retired_at.isoformat(),
        }
        for key in SigningKey.objects.order_by("-pk")
    ]


def rotate() -> SigningKey:
    """Another key signs from now on."""
    with transaction.atomic():
        SigningKey.objects.filter(current=True).update(current=False, retired_at=timezone.now())
        return _make()


def reseal() -> int:
    """Seal the private halves under the newest key of CREDENTIAL_KEYS; how many. Raises
    Unreadable."""
    keys = list(SigningKey.objects.select_for_update())
    for key in keys:
        key.sealed = _vault.reseal(key.sealed)
    SigningKey.objects.bulk_update(keys, ["sealed"])
    return len(keys)


def _current() -> SigningKey:
    found = SigningKey.objects.filter(current=True).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return _make()
    except IntegrityError:  # somebody else made it meanwhile
        return SigningKey.objects.get(current=True)


def _make() -> SigningKey:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return SigningKey.objects.create(
        key_id=hashlib.sha256(public).hexdigest()[:16],
        public=public,
        sealed=_vault.seal(private.private_bytes_raw().hex()),
    )


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
