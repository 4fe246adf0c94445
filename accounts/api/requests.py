"""What endpoints ask of a request: who sends it, what it says, and its Idempotency-Key."""

from typing import Any, cast

from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer

from accounts.models import User
from hontoni import errors

LONGEST_KEY = 100


def caller(request: Request) -> User:
    """Who IsAuthenticated let in."""
    return cast(User, request.user)


def valid(kind: type[BaseSerializer[Any]], data: Any) -> dict[str, Any]:
    """What was sent, as this serializer understands it. Raises ValidationError."""
    body = kind(data=data)
    body.is_valid(raise_exception=True)
    found: dict[str, Any] = body.validated_data
    return found


def idempotency_key(request: Request) -> str:
    """The customer's own, or empty. Raises BadRequest for one that is too long."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > LONGEST_KEY:
        raise errors.BadRequest(f"The Idempotency-Key is longer than {LONGEST_KEY} characters.")
    return key
