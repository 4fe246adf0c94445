"""What the account's own pages ask for."""

import uuid
from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User

LIFETIMES = {
    "": _("Never"),
    "7": _("In 7 days"),
    "30": _("In 30 days"),
    "90": _("In 90 days"),
    "365": _("In a year"),
}
OVERLAPS = {
    "0": _("At once"),
    "3600": _("In an hour"),
    "86400": _("In a day"),
    "604800": _("In a week"),
}


class KeyForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=100)
    expires = forms.ChoiceField(label=_("Expires"), choices=LIFETIMES, required=False)
    # Of this very form: sent twice, it makes one key.
    once = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def clean_expires(self) -> Any:
        """When the key ends, or None."""
        days = self.cleaned_data["expires"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class RenameForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = ApiKey
        fields = ("name",)
        labels = {"name": _("Name")}


class RotateForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label=_("The old key stops working"),
        choices=OVERLAPS,
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        initial="86400",
    )


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("name",)
        labels = {"name": _("Name")}


class DeletionForm(forms.Form):
    email = forms.CharField(
        label=_("Your e-mail address, to confirm"),
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].strip().lower()
        if email != self.user.email:
            raise forms.ValidationError(_("This is not the address of this account."))
        return email
