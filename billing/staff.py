"""What the admin pages of billing have in common."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import User
from billing import audit
from hontoni.drf import request_id
from hontoni.money import CENT, dollars, nanos


class DollarsField(forms.CharField):
    """Nano-dollars in the database, dollars and whole cents for people."""

    step, refusal = CENT, "Dollars and whole cents, such as 4.99."

    def __init__(self, *, min_value: object = None, max_value: object = None, **kwargs: Any):
        super().__init__(**kwargs)  # an integer field's bounds mean nothing to a text

    def prepare_value(self, value: object) -> object:
        return dollars(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> int | None:  # type: ignore[override]
        if value is None or isinstance(value, int):
            return value
        if not value.strip():
            return None  # which a required field refuses
        try:
            amount = nanos(value.strip())
        except ValueError:
            amount = None
        if amount is None or amount % self.step:
            raise ValidationError(self.refusal)
        return amount


class RateField(DollarsField):
    """What one of very many costs, a million tokens or a call: no whole cents."""

    step, refusal = 1, "Dollars, such as 0.0375."


def _typed_as(field: type[DollarsField]) -> dict[Any, Any]:
    return {models.BigIntegerField: {"form_class": field, "widget": UnfoldAdminTextInputWidget}}


# Every amount on a form of ours; and every price of tokens or calls.
DOLLARS, RATES = _typed_as(DollarsField), _typed_as(RateField)


class ReadOnlyAdmin(ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def email_of(request: HttpRequest) -> str:
    """Of the member of staff who asks."""
    return request.user.email if isinstance(request.user, User) else ""


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
