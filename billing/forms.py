"""What the billing pages ask for: money in, and once."""

import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class OnceForm(forms.Form):
    """A form that does its deed once, however often it is sent."""

    once = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def renew(self) -> None:
        """What was tried is over: sent again, this form is a new attempt."""
        self.data: Any = {**self.data.dict(), "once": str(uuid.uuid4())}


class SandboxForm(OnceForm):
    """Play money. The range is the API's (billing/api.py)."""

    amount = forms.DecimalField(
        label=_("Dollars"),
        min_value=Decimal(1),
        max_value=Decimal(10_000),
        decimal_places=2,
        initial=Decimal(25),
        localize=False,
    )
