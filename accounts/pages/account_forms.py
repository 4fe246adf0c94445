"""What the account's own pages ask for."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from allauth.account.forms import AddEmailForm, ResetPasswordForm
from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django import forms
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.keys import restrictions, scopes
from accounts.models import ApiKey, User
from hontoni.money import dollars, nanos

LIFETIMES = {
    "": _("Never"),
    "7": _("In 7 days"),
    "30": _("In 30 days"),
    "90": _("In 90 days"),
    "365": _("In a year"),
}
OVERLAPS = {
    "0": _("Immediately"),
    "3600": _("In an hour"),
    "86400": _("In a day"),
    "604800": _("In a week"),
}


CAPS = ("daily_cap", "monthly_cap", "lifetime_cap")
# What is typed of a guard and of overflow, as it is kept; in the order of restrictions.FIELDS.
GUARDS: dict[str, Callable[[Any], int]] = {
    "brake_spend": nanos,
    "brake_times": int,
    "brake_loop": int,
    "session_budget": nanos,
    "overflow_cap": nanos,
}
CAP: dict[str, Any] = {
    "required": False,
    "min_value": Decimal("0.01"),
    "max_value": Decimal(1_000_000),
    "decimal_places": 2,
}


def _scopes(those: Iterable[str]) -> list[tuple[str, Any]]:
    return [(scope, scopes.WORDS[scope]) for scope in those]


class KeyForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=100)
    expires = forms.ChoiceField(label=_("Expires"), choices=LIFETIMES, required=False)
    # Of this very form: sent twice, it makes one key.
    once = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def clean_expires(self) -> Any:
        """When the key ends, or None."""
        days = self.cleaned_data["expires"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class PlacesForm(forms.Form):
    """Where from, and for which models: of a key, and of all keys of a member."""

    allowed_ips = forms.CharField(
        label=_("Only from these addresses"),
        help_text=_("Addresses or ranges (203.0.113.0/24, 2001:db8::/32), one a line."),
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )
    allowed_models = forms.MultipleChoiceField(
        label=_("Only these models"),
        choices=restrictions.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def clean_allowed_ips(self) -> list[str]:
        try:
            return restrictions.normalised(self.cleaned_data["allowed_ips"].split())
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class LimitsForm(PlacesForm):
    """What a key is restricted to. The same for a new key and for one that there is."""

    field_order: Sequence[str] = (*CAPS, *GUARDS, "allowed_ips", "allowed_models", "scopes")

    daily_cap = forms.DecimalField(
        label=_("Daily cap (USD)"),
        help_text=_("A day ends at midnight UTC."),
        **CAP,
    )
    monthly_cap = forms.DecimalField(
        label=_("Monthly cap (USD)"),
        help_text=_("A month ends with its last day, UTC."),
        **CAP,
    )
    lifetime_cap = forms.DecimalField(
        label=_("Lifetime cap (USD)"),
        help_text=_("Once it is spent the key stops, until you raise this."),
        **CAP,
    )
    brake_spend = forms.DecimalField(
        label=_("Brake: dollars in ten minutes"),
        help_text=_("Beyond it requests are refused until the ten minutes have passed."),
        **CAP,
    )
    brake_times = forms.IntegerField(
        label=_("Brake: times its own history"),
        help_text=_(
            "So many times ten minutes of its busiest hour in the last 7 days, at least $1. "
            "Of both brakes the lower holds."
        ),
        required=False,
        min_value=1,
        max_value=restrictions.MOST_TIMES,
    )
    brake_loop = forms.IntegerField(
        label=_("Loop brake: the same prompt"),
        help_text=_("How often the very same prompt is served within ten minutes."),
        required=False,
        min_value=2,
        max_value=restrictions.MOST_SAME,
    )
    session_budget = forms.DecimalField(
        label=_("Session budget (USD)"),
        help_text=_("What one session of an agent may spend in all."),
        **CAP,
    )
    overflow_cap = forms.DecimalField(
        label=_("Overflow: dollars a month"),
        help_text=_(
            "What it may spend past the windows of your plan in a month (UTC), at the plan's "
            "surcharge. Empty: it stops at them."
        ),
        **CAP,
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        help_text=_("None ticked: it may ask models and read usage."),
        choices=_scopes(scopes.OF_KEYS),
        initial=scopes.BY_DEFAULT,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def restrictions(self) -> restrictions.Restrictions:
        """What was chosen, once it is valid."""
        chosen = self.cleaned_data
        given = (chosen[name] for name in CAPS)
        daily, monthly, lifetime = (None if cap is None else nanos(cap) for cap in given)
        return restrictions.Restrictions(
            daily,
            monthly,
            lifetime,
            chosen["allowed_models"],
            chosen["allowed_ips"],
            chosen["scopes"] or scopes.BY_DEFAULT,
            *(None if chosen[each] is None else GUARDS[each](chosen[each]) for each in GUARDS),
        )


class KeyLimitsForm(LimitsForm):
    """The restrictions of a key that there is, and when it ends."""

    expires = forms.ChoiceField(
        label=_("Expires"), choices={"keep": _("As it is"), **LIFETIMES}, required=False
    )
    field_order = (*CAPS, "expires", *GUARDS, "allowed_ips", "allowed_models", "scopes")

    @classmethod
    def of(cls, key: ApiKey, data: Any = None) -> "KeyLimitsForm":
        """Filled in with what the key has."""
        caps = {
            name: getattr(key, name)
            for name in (*CAPS, "brake_spend", "session_budget", "overflow_cap")
        }
        filled = {name: dollars(cap) for name, cap in caps.items() if cap is not None}
        listed = {
            "allowed_models": key.allowed_models,
            "allowed_ips": "\n".join(key.allowed_ips),
            "expires": "keep",
            "brake_times": key.brake_times,
            "brake_loop": key.brake_loop,
            "scopes": key.scopes,
        }
        return cls(data, initial={**filled, **listed})

    def changes(self) -> dict[str, Any]:
        """The columns of the key that are to change."""
        found = self.restrictions().stored()
        if (days := self.cleaned_data["expires"]) != "keep":
            found["expires_at"] = timezone.now() + timedelta(days=int(days)) if days else None
        return found


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


class TokenForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=100)
    expires = forms.TypedChoiceField(
        label=_("Expires"),
        choices={days: words for days, words in LIFETIMES.items() if days},
        coerce=lambda days: timezone.now() + timedelta(days=int(days)),
        initial="90",
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=_scopes(scopes.OF_TOKENS),
        initial=(scopes.USAGE,),
        widget=forms.CheckboxSelectMultiple,
    )
    # Of this very form: sent twice, it makes one token.
    once = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("name",)
        labels = {"name": _("Name")}


class PrivacyForm(forms.Form):
    vendors_may_store = forms.BooleanField(
        label=_("OpenAI may keep requests that ask it to (store: true)"), required=False
    )
    keeps_responses = forms.BooleanField(
        label=_("Keep answers of /v1/responses, sealed, for clients that refer to them"),
        required=False,
    )


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


class ChangeAddressForm(AddEmailForm):  # type: ignore[misc]  # allauth is untyped
    user: User

    def save(self, request: HttpRequest) -> EmailAddress:
        """The address to change to takes the place of another that waits; never that of the
        present one, confirmed or not, which stays until the new one is proven."""
        with transaction.atomic():
            mine = EmailAddress.objects.filter(user=self.user)
            mine.filter(verified=False).exclude(email=self.user.email).delete()
            new: EmailAddress = mine.create(
                user=self.user, email=self.cleaned_data["email"].lower()
            )
            send_verification_email_to_address(request, new)
        return new


class ResetForm(ResetPasswordForm):  # type: ignore[misc]  # allauth is untyped
    users: list[User]

    def clean_email(self) -> str:
        """The account of that address, not one that only waits to change to it."""
        email: str = super().clean_email()
        self.users = [user for user in self.users if user.email == email.strip().lower()]
        return email
