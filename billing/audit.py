"""The append-only log of what staff did. Written in the transaction of the deed itself."""

from collections.abc import Mapping
from typing import Any

from billing.models import AuditEntry


def record(
    *,
    actor: str,
    action: str,
    subject: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    request_id: str = "",
) -> AuditEntry:
    """Keep who (an e-mail address or `shell:<uid>`) did what to whom (`user:12`, `plan:basic`)."""
    return AuditEntry.objects.create(
        actor=actor,
        action=action,
        subject=subject,
        before=dict(before),
        after=dict(after),
        request_id=request_id,
    )
