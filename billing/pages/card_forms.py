"""What the pages about cards ask for. The ranges are those of billing/payments/orders.py."""

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from billing.pages.billing_forms import OnceForm

CHECKOUT = "checkout"
_MOST = Decimal("9999999.99")


def card_name(card: dict[str, Any]) -> str:
    """ "Visa •••• 4242, 12/2030" """
    expiry = f"{card['exp_month']:02}/{card['exp_year']}"
    return f"{str(card['brand']).title()} •••• {card['last4']}, {expiry}"


def _dollars(least: str | Decimal, most: str | Decimal, **options: Any) -> forms.DecimalField:
    return forms.DecimalField(
        min_value=Decimal(least),
        max_value=Decimal(most),
        decimal_places=2,
        localize=False,
        **options,
    )


class TopUpForm(OnceForm):
    """How much, and from which card."""

    method = forms.ChoiceField(label=_("Pay with"), widget=forms.RadioSelect)
    # Where whoever is short of something goes on when it is paid (card_views.py).
    back = forms.CharField(widget=forms.HiddenInput, required=False, max_length=200)
    save_card = forms.BooleanField(
        label=_("Keep a new card for later, and for automatic top-ups"), required=False
    )

    def __init__(self, *args: Any, cards: list[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # As billing/stripe/customers.py chooses: the default card, else the newest.
        ids = [card["id"] for card in sorted(cards, key=lambda card: not card["is_default"])]
        method = self.fields["method"]
        assert isinstance(method, forms.ChoiceField)
        method.choices = [
            *((card["id"], card_name(card)) for card in cards),
            (CHECKOUT, _("A new card, on the payment page")),
        ]
        method.initial = next(iter(ids), CHECKOUT)
        amount = _dollars(settings.TOPUP_MIN, settings.TOPUP_MAX, label=_("Dollars"))
        amount.initial = max(Decimal(25), Decimal(settings.TOPUP_MIN))
        self.fields = {"amount": amount, **self.fields}


class AutoTopUpForm(forms.Form):
    """When, how much, and how much at most in a month."""

    enabled = forms.BooleanField(label=_("Top up automatically"), required=False)

    def __init__(self, *args: Any, cards: list[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        least, most = settings.TOPUP_MIN, settings.TOPUP_MAX
        choices = [("", _("The default card")), *((card["id"], card_name(card)) for card in cards)]
        self.fields |= {
            "threshold": _dollars(
                "0", _MOST, label=_("Below a balance of"), help_text=_("Dollars.")
            ),
            "amount": _dollars(least, most, label=_("Top-up amount"), help_text=_("Dollars.")),
            "monthly_cap": _dollars(
                least,
                _MOST,
                label=_("At most in a month"),
                help_text=_("Dollars. A calendar month, UTC."),
            ),
            "payment_method": forms.ChoiceField(
                label=_("Pay with"), choices=choices, required=False
            ),
        }

    def clean(self) -> dict[str, Any]:
        """At least one top-up must fit into the month."""
        data: dict[str, Any] = super().clean() or {}
        amount, cap = data.get("amount"), data.get("monthly_cap")
        if amount is not None and cap is not None and cap < amount:
            self.add_error("monthly_cap", _("At least one top-up's worth."))
        return data
