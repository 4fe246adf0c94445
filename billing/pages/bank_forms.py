"""What the page of bank transfers asks for: how much, in dollars or in dong."""

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from billing.pages.billing_forms import OnceForm
from billing.payments.vietqr import bank_orders
from billing.payments.vietqr.models import BankOrder

DOLLARS, DONG = "USD", "VND"


class BankForm(OnceForm):
    """One field of an amount, and what it counts. With one gateway nobody is asked which."""

    amount = forms.DecimalField(label=_("Amount"), decimal_places=2, localize=False)
    currency = forms.ChoiceField(
        label=_("In"),
        choices=[(DOLLARS, _("US dollars ($)")), (DONG, _("Vietnamese dong (₫)"))],
    )

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, auto_id="id_bank_%s", **kwargs)
        self.fields["amount"].initial = max(Decimal(25), Decimal(settings.TOPUP_MIN))
        ready = bank_orders.gateways()
        if len(ready) > 1:
            names = dict(BankOrder.Gateway.choices)
            self.fields["gateway"] = forms.ChoiceField(
                label=_("Through"), choices=[(each, names[each]) for each in ready]
            )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        amount = data.get("amount")
        if amount is not None and data.get("currency") == DONG and amount != int(amount):
            self.add_error("amount", _("Whole dong."))
        return data
