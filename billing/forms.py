"""What the billing page asks for."""

import uuid
from decimal import Decimal

from django import forms
from django.utils.translation import gettext_lazy as _


class SandboxForm(forms.Form):
    """Play money. The range is the API's (billing/api.py)."""

    amount = forms.DecimalField(
        label=_("Dollars"),
        min_value=Decimal(1),
        max_value=Decimal(10_000),
        decimal_places=2,
        initial=Decimal(25),
        localize=False,
    )
    # Of this very form: sent twice, it credits once.
    once = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
