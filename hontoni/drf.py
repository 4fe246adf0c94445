"""How /api answers: our envelope for every error, keyset pages for every list."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from hontoni import errors


def _translate(error: Exception) -> errors.ApiError | None:
    """Django's and DRF's exceptions as ours."""
    match error:
        case errors.ApiError():
            return error
        case exceptions.ValidationError():
            return _invalid(error.get_full_details())
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return errors.Unauthenticated(str(error.detail), code="invalid_token")
        case exceptions.PermissionDenied():
            return errors.Forbidden(str(error.detail))
        case Http404() | exceptions.NotFound():
            return errors.NotFound("There is no such object.")
        case exceptions.Throttled():
            wait = str(int(getattr(error, "wait", None) or 1))
            return errors.RateLimited(
                f"Too many attempts. Try again in {wait} seconds.", headers={"Retry-After": wait}
            )
        case exceptions.APIException():
            translated = errors.BadRequest(str(error.detail))
            translated.status = error.status_code
            return translated
    return None


def _invalid(details: Any) -> errors.BadRequest:
    """One sentence for people, the first field as `param`, and every field under `details`."""
    if isinstance(details, Mapping) and "message" not in details:
        field = next(iter(details))
        first = details[field]
    else:
        field, first = "", details
    while isinstance(first, list | Mapping) and not (
        isinstance(first, Mapping) and "message" in first
    ):
        first = first[0] if isinstance(first, list) else next(iter(first.values()))
    named = field and field != "non_field_errors"
    return errors.BadRequest(
        f"{field}: {first['message']}" if named else str(first["message"]),
        param=str(field) if named else None,
        details={"fields": details},
    )


def answer_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: an unknown exception stays a 500 and is logged by Django."""
    known = _translate(error)
    if known is None:
        return None
    request_id = f"req_{uuid.uuid4().hex}"
    headers = {"X-Request-Id": request_id, **known.headers}
    if known.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    return Response(known.body(request_id), status=known.status, headers=headers)
