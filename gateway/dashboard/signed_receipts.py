"""A receipt as a document that stands without us: signed JSON, and a link for a stranger.

It tells what was used and charged, and nothing of the account but the number its wallet has in the
ledger: not the key, its name, or which program asked.
"""

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core import signing as tokens
from django.urls import reverse
from django.utils import timezone
from rest_framework.renderers import JSONRenderer

from accounts.models import User
from billing.books import signing
from gateway.archive import archived_receipts as archived
from gateway.dashboard.receipt_serializers import ReceiptSerializer
from gateway.usage import ledger_roots
from gateway.usage.models import UsageEvent
from hontoni import origins, verify

_SALT = "gateway.receipt"
_PRIVATE = ("key_id", "client", "tool", "windows", "attempts", "clamps", "upstream_request_id")
LASTS = {"1": timedelta(days=1), "7": timedelta(days=7), "30": timedelta(days=30)}


def document(event: UsageEvent, now: datetime) -> dict[str, Any]:
    """The signed receipt. Raises Unavailable where nothing can be signed."""
    receipt = json.loads(JSONRenderer().render(ReceiptSerializer(event).data))
    for name in _PRIVATE:
        del receipt[name]
    said = {
        "type": verify.TYPE,
        "version": 1,
        "issuer": settings.PUBLIC_URL,
        "issued_at": now.isoformat(),
        "receipt": receipt,
        "proof": ledger_roots.proof(event) or archived.proof(event),
    }
    return signing.signed(said)


def keys() -> dict[str, Any]:
    """What is published at /.well-known/hontoni-receipts.json."""
    return {
        "issuer": settings.PUBLIC_URL,
        "keys": signing.published(),
        "roots": origins.absolute(reverse("proof-roots")),
        "how": origins.absolute(reverse("docs-page", args=["receipts"])),
    }


def still(receipt: dict[str, Any]) -> bool:
    """Whether the books say now what a receipt of ours said when it was signed."""
    try:
        pk = uuid.UUID(hex=str(receipt["request_id"]).removeprefix("req_"))
    except ValueError:
        return False
    event = _event(pk)
    return event is not None and receipt["charged"] == ReceiptSerializer().get_charged(event)


def _event(pk: uuid.UUID) -> UsageEvent | None:
    """Whosever it is, in the database or in the archive."""
    events = UsageEvent.objects.select_related("price", "user", "api_key")
    return events.filter(pk=pk).first() or archived.find(None, pk)


# -- Links ---------------------------------------------------------------------------------------


def link(event: UsageEvent, lasts: timedelta) -> str:
    """The path of a receipt for whoever has it, until it expires."""
    until = int((timezone.now() + lasts).timestamp())
    epoch = event.user.session_epoch
    return reverse("shared-receipt", args=[tokens.dumps([event.pk.hex, until, epoch], salt=_SALT)])


def linked(token: str) -> tuple[UsageEvent, datetime] | None:
    """The receipt a link leads to, and until when; None if it does not any more: it has expired,
    the account is gone, or its owner ended every session, and with them every link."""
    try:
        name, until, epoch = tokens.loads(token, salt=_SALT)
    except (tokens.BadSignature, ValueError):
        return None
    end = datetime.fromtimestamp(until, timezone.get_default_timezone())
    if end <= timezone.now():
        return None
    event = _event(uuid.UUID(hex=name))
    owner: User | None = event.user if event else None
    if event is None or owner is None or not owner.is_active or owner.session_epoch != epoch:
        return None
    return event, end
