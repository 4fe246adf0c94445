"""What the admin pages of billing have in common."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from accounts.models import User
from billing.books import audit
from hontoni.drf import request_id
from hontoni.read_only import ReadOnlyAdmin as ReadOnlyAdmin


def email_of(request: HttpRequest) -> str:
    """Of the member of staff who asks."""
    return request.user.email if isinstance(request.user, User) else ""


def member(request: HttpRequest) -> User:
    """The member of staff who asks: the admin lets nobody else in."""
    assert isinstance(request.user, User)
    return request.user


def audit_deed(
    request: HttpRequest,
    action: str,
    subject: str,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Log what this request of staff's does, in its transaction."""
    audit.record(
        actor=email_of(request),
        action=action,
        subject=subject,
        before=before,
        after=after,
        request_id=request_id(request),
    )
