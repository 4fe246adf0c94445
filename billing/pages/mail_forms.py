"""Which mails an account wants."""

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.mails.letters import LETTERS
from billing.mails.models import Preferences
from hontoni.money import dollars


class MailsForm(forms.Form):
    """The threshold in dollars, and a box for every kind of mail that may be switched off."""

    threshold = forms.DecimalField(
        label=_("Tell me when the balance is down to"),
        help_text=_("Dollars."),
        min_value=0,
        max_value=1_000_000,
        decimal_places=2,
        localize=False,
    )

    def __init__(self, *args: Any, mine: Preferences, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["threshold"] = dollars(mine.low_balance)
        for kind, letter in LETTERS.items():
            if not letter.required:
                wanted = kind not in mine.unwanted
                self.fields[kind] = forms.BooleanField(
                    label=gettext(letter.about), required=False, initial=wanted
                )

    def switched(self) -> dict[str, bool]:
        """Kinds of mail, and whether they are wanted."""
        return {kind: on for kind, on in self.cleaned_data.items() if kind in LETTERS}
