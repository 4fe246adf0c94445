"""What the pages of a team ask for."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Membership, Role, User
from accounts.pages.account_forms import CAP, CAPS, PlacesForm
from accounts.teams import roles
from hontoni.money import dollars, nanos

ROLE_WORDS = {
    Role.OWNER: _("Owner: everything, and hands the team over"),
    Role.ADMIN: _("Admin: everything but that"),
    Role.DEVELOPER: _("Developer: keys of their own, usage"),
    Role.BILLING: _("Billing: money, usage"),
    Role.VIEWER: _("Viewer: reads all, changes nothing"),
}


def given_by(role: str) -> list[tuple[str, Any]]:
    """The roles that somebody may give, as forms show them."""
    given = roles.GIVEN_BY.get(role, frozenset())
    return [(each.value, words) for each, words in ROLE_WORDS.items() if each in given]


class TeamForm(forms.Form):
    name = forms.CharField(label=_("Name of the team"), max_length=200)


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = User
        fields = ("name", "billing_email")
        labels = {"name": _("Name of the team"), "billing_email": _("Where its mails go")}
        help_texts = {"billing_email": _("Empty: to the owner, and to members who mind money.")}

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        if not name:
            raise forms.ValidationError(_("A team has a name."))
        return name


class InviteForm(forms.Form):
    email = forms.EmailField(label=_("E-mail"), max_length=254)
    role = forms.ChoiceField(label=_("Role"), initial=Role.DEVELOPER)

    def __init__(self, *args: Any, by: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = given_by(by)  # type: ignore[attr-defined]


class MemberForm(PlacesForm):
    """A member's role and limits; what is empty is not limited."""

    field_order = ("role", *CAPS, "allowed_ips", "allowed_models")

    role = forms.ChoiceField(label=_("Role"))
    daily_cap = forms.DecimalField(
        label=_("Daily cap (USD)"), help_text=_("Of all their keys together."), **CAP
    )
    monthly_cap = forms.DecimalField(label=_("Monthly cap (USD)"), **CAP)
    lifetime_cap = forms.DecimalField(
        label=_("Lifetime cap (USD)"),
        help_text=_("Once it is spent their keys stop, until an admin raises this."),
        **CAP,
    )

    def __init__(self, *args: Any, by: str, member: Membership, **kwargs: Any) -> None:
        filled = {name: getattr(member, name) for name in CAPS}
        initial = {
            "role": member.role,
            **{name: dollars(cap) for name, cap in filled.items() if cap is not None},
            "allowed_models": member.allowed_models,
            "allowed_ips": "\n".join(member.allowed_ips),
        }
        super().__init__(*args, **kwargs | {"initial": initial})
        mine = [(member.role, ROLE_WORDS[Role(member.role)])]
        given = [] if member.role == Role.OWNER else given_by(by)
        choices = given if member.role in dict(given) else mine + given
        self.fields["role"].choices = choices  # type: ignore[attr-defined]

    def changes(self) -> dict[str, Any]:
        """The columns of the membership, once it is valid."""
        chosen = self.cleaned_data
        caps = {name: chosen[name] for name in CAPS}
        return {
            "role": chosen["role"],
            **{name: None if cap is None else nanos(cap) for name, cap in caps.items()},
            "allowed_models": chosen["allowed_models"],
            "allowed_ips": chosen["allowed_ips"],
        }


class TransferForm(forms.Form):
    to = forms.ModelChoiceField(label=_("To"), queryset=Membership.objects.none())

    def __init__(self, *args: Any, owner: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = Membership.objects.active().filter(account=owner.account_id)
        field: Any = self.fields["to"]
        field.queryset = others.exclude(pk=owner.pk).select_related("person")
        field.label_from_instance = lambda member: member.person.email


class TeamDeletionForm(forms.Form):
    name = forms.CharField(
        label=_("The team's name, to confirm"),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, team: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.team = team

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        if name != self.team.name:
            raise forms.ValidationError(_("This is not the name of this team."))
        return name
