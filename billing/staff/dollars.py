"""Fields for amounts in the admin: nano-dollars in the database, dollars for people."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from hontoni.money import CENT, DOLLAR, dollars, nanos


class DollarsField(forms.CharField):
    """Nano-dollars in the database, dollars and whole cents for people."""

    step, refusal = CENT, _("Dollars and whole cents, such as 4.99.")

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
    """What one of very many costs, a million tokens or a call: no whole cents. Who types more than
    MOST has typed another unit."""

    step, refusal = 1, _("Dollars, such as 0.0375.")
    MOST = 10_000 * DOLLAR

    def to_python(self, value: Any) -> int | None:  # type: ignore[override]
        amount = super().to_python(value)
        if amount is not None and not 0 <= amount <= self.MOST:
            raise ValidationError(
                gettext("Dollars, from 0 to %(most)s.") % {"most": dollars(self.MOST)}
            )
        return amount


def _typed_as(field: type[DollarsField]) -> dict[Any, Any]:
    return {models.BigIntegerField: {"form_class": field, "widget": UnfoldAdminTextInputWidget}}


DOLLARS, RATES = _typed_as(DollarsField), _typed_as(RateField)
