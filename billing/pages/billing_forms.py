"""What the billing pages ask for: money in, and once."""

import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.invoices import countries
from billing.invoices.models import BillingDetails
from billing.payments.funding import SANDBOX_LEAST, SANDBOX_MOST
from hontoni.money import DOLLAR


class OnceForm(forms.Form):
    """A form that does its deed once, however often it is sent."""

    once = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def renew(self) -> None:
        """What was tried is over: sent again, this form is a new attempt."""
        self.data: Any = {**self.data.dict(), "once": str(uuid.uuid4())}


class SandboxForm(OnceForm):
    """Play money."""

    amount = forms.DecimalField(
        label=_("Dollars"),
        min_value=Decimal(SANDBOX_LEAST) / DOLLAR,
        max_value=Decimal(SANDBOX_MOST) / DOLLAR,
        decimal_places=2,
        initial=Decimal(25),
        localize=False,
    )


class DetailsForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What the next invoices say of their buyer. The address is kept in one line."""

    address = forms.CharField(
        label=_("Address"),
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=400,
        required=False,
    )

    class Meta:
        model = BillingDetails
        fields = ("name", "address", "country", "tax_id")
        labels = {
            "name": _("Name or company"),
            "country": _("Country"),
            "tax_id": _("Tax ID"),
        }
        help_texts = {
            "name": _("Empty: the name of your account."),
            "country": _("Two letters, such as VN or DE."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["country"].validators = []  # in any case: clean_country looks at it
        self.initial["address"] = self.instance.address.replace("; ", "\n")

    def clean_country(self) -> str:
        country: str = self.cleaned_data["country"].upper()
        if country and not countries.exists(country):
            raise forms.ValidationError(_("There is no such country."))
        return country

    def clean_address(self) -> str:
        """Lines, separated as SELLER_ADDRESS is."""
        lines = (line.strip(" ;") for line in self.cleaned_data["address"].splitlines())
        return "; ".join(line for line in lines if line)
