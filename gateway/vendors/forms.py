"""What staff type of a provider and of a credential: words and numbers, never JSON."""

from itertools import count
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from gateway.vendors import secrets, vault
from gateway.vendors.manners import Quirk
from gateway.vendors.models import Auth, Credential, Provider
from gateway.vendors.presets import Preset
from gateway.vendors.secrets import AUTHORITY, AccessKey, Application

_MOST_FILE = 20_000  # bytes of a service account's key
_INSTRUCTION = "instruction"


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    without = forms.CharField(
        required=False,
        label=_("members it refuses"),
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Of a request's body, with commas between them: store, safety_identifier"),
    )
    renames = forms.CharField(
        required=False,
        label=_("members it calls otherwise"),
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("With commas between them: max_completion_tokens=max_tokens"),
    )
    bare = forms.BooleanField(
        required=False,
        label=_("the address is complete"),
        widget=UnfoldBooleanSwitchWidget(),
        help_text=_(
            "Nothing like /v1 is put behind it; so it is anyway where it ends in another "
            "version, such as /api/paas/v4."
        ),
    )
    system = forms.BooleanField(
        required=False, label=_("it knows no developer's role"), widget=UnfoldBooleanSwitchWidget()
    )
    schemaless = forms.BooleanField(
        required=False,
        label=_("it takes no JSON schema"),
        widget=UnfoldBooleanSwitchWidget(),
        help_text=_("The shape of an answer is asked for in words."),
    )
    replays = forms.BooleanField(
        required=False,
        label=_("it wants its reasoning back"),
        widget=UnfoldBooleanSwitchWidget(),
        help_text=_("Beside the calls that followed it, as reasoning_content."),
    )

    class Meta:
        model = Provider
        fields = (
            *("name", "vendor", "base_url", "everything", "active", "dialect", "auth"),
            *("hosting", "region", "project", "api_version"),
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        quirks = kwargs.get("initial", {}).get("quirks") or self.instance.quirks
        for name, value in _told(quirks).items():
            self.initial.setdefault(name, value)

    def clean_renames(self) -> dict[str, str]:
        found = {}
        for pair in _listed(self.cleaned_data["renames"]):
            old, equals, new = (word.strip() for word in pair.partition("="))
            if not (old and equals and new):
                raise forms.ValidationError(gettext("Write each as theirs=ours: old=new."))
            found[old] = new
        return found

    def _post_clean(self) -> None:
        """Before the row is validated: its quirks are among what it says."""
        given = self.cleaned_data
        told = {
            Quirk.WITHOUT: _listed(given.get("without", "")),
            Quirk.RENAMES: given.get("renames") or {},
            Quirk.BARE: given.get("bare", False),
            Quirk.SYSTEM: given.get("system", False),
            Quirk.SCHEMA: _INSTRUCTION if given.get("schemaless") else "",
            Quirk.REPLAYS: given.get("replays", False),
        }
        self.instance.quirks = {str(name): value for name, value in told.items() if value}
        super()._post_clean()  # type: ignore[misc]


def initial(preset: Preset) -> dict[str, Any]:
    """What the form begins with; under a name that is free."""
    known = set(Provider.objects.values_list("name", flat=True))
    names = (f"{preset.name}-{number}" for number in count(2))
    name = preset.name if preset.name not in known else next(n for n in names if n not in known)
    return preset.columns() | {"name": name, "active": True}


def _listed(text: str) -> list[str]:
    return [word for raw in text.split(",") if (word := raw.strip())]


def _told(quirks: dict[str, Any]) -> dict[str, Any]:
    renames = quirks.get(Quirk.RENAMES) or {}
    return {
        "without": ", ".join(quirks.get(Quirk.WITHOUT) or ()),
        "renames": ", ".join(f"{old}={new}" for old, new in renames.items()),
        "bare": bool(quirks.get(Quirk.BARE)),
        "system": bool(quirks.get(Quirk.SYSTEM)),
        "schemaless": quirks.get(Quirk.SCHEMA) == _INSTRUCTION,
        "replays": bool(quirks.get(Quirk.REPLAYS)),
    }


def _hidden(help_text: Any, label: Any = None) -> forms.CharField:
    return forms.CharField(
        required=False,
        max_length=4000,
        label=label,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text=help_text,
    )


def _plain(help_text: Any, label: Any = None) -> forms.CharField:
    return forms.CharField(
        required=False,
        max_length=200,
        label=label,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text=help_text,
    )


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    """A secret is entered in the parts that its provider's scheme has, sealed, never shown."""

    secret = _hidden(
        _(
            "The provider's API key; of AWS the secret access key, of Entra the client secret. It "
            "is sealed and never shown again; leave it empty to keep the one there is."
        ),
        _("secret"),
    )
    key_id = _plain(_("AWS: the access key id. Entra: the application's client id."), _("id"))
    tenant = _plain(_("Entra: the directory's id."), _("tenant"))
    authority = _plain(
        format_lazy(
            "{} {}",
            _("Entra, in a cloud of a nation's own: who signs in. Else:"),
            AUTHORITY,
        ),
        _("authority"),
    )
    session_token = _hidden(_("AWS: where the key is one for a while."), _("session token"))
    service_account = forms.FileField(
        required=False,
        widget=UnfoldAdminFileFieldWidget(),
        help_text=_("Google: the JSON file of a service account's key."),
    )

    class Meta:
        model = Credential
        fields = ("provider", "label", "secret", "priority", "weight", "active")

    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"]
        if any(not "!" <= letter <= "~" for letter in secret):
            raise forms.ValidationError(
                gettext("A key has no spaces and no letters beyond ASCII.")
            )
        return secret

    def clean_service_account(self) -> str:
        file = self.cleaned_data["service_account"]
        if not file:
            return ""
        try:
            text = file.read(_MOST_FILE + 1).decode()
            secrets.service_account(text)
        except (UnicodeDecodeError, ValueError):
            raise forms.ValidationError(
                gettext("This is not the JSON file of a service account's key.")
            ) from None
        return str(text)

    def clean(self) -> dict[str, Any]:
        """A secret is for one provider at one address."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        provider, before = cleaned.get("provider"), self.instance.entered_for
        if provider is None or self.errors:
            return cleaned
        field = "service_account" if provider.auth == Auth.SERVICE_ACCOUNT else "secret"
        try:
            cleaned["text"] = text = self._text(provider, cleaned)
        except ValueError as error:
            self.add_error(field, gettext(str(error)))
            return cleaned
        moved = self.instance.sealed and before not in ("", provider.home)
        moved = moved or (self.instance.pk and not before and "provider" in self.changed_data)
        if text is None and moved:
            self.add_error(
                field,
                gettext("Enter it again: it was for %(whom)s.")
                % {"whom": before or gettext("another provider")},
            )
        elif text is None and not self.instance.sealed:
            self.add_error(field, gettext("A new credential needs its secret."))
        return cleaned

    def _text(self, provider: Provider, given: dict[str, Any]) -> str | None:
        """What is to be sealed; None if nothing was entered. Raises ValueError."""
        secret, key_id = given.get("secret", ""), given.get("key_id", "").strip()
        match provider.auth:
            case Auth.NONE:
                known = self.instance.sealed and self.instance.entered_for == provider.home
                return None if known else ""
            case Auth.SERVICE_ACCOUNT:
                if secret and not given.get("service_account"):
                    raise ValueError(gettext("Choose the file; nothing is typed here."))
                return given.get("service_account") or None
            case Auth.SIGV4:
                text = AccessKey(key_id, secret, given.get("session_token") or None).text()
            case Auth.ENTRA:
                authority = given.get("authority", "").strip() or AUTHORITY
                tenant = given.get("tenant", "").strip()
                text = Application(tenant, key_id, secret, authority).text()
            case _:
                return secret or None
        if not (secret or key_id or given.get("tenant") or given.get("session_token")):
            return None
        secrets.check(provider.auth, text)
        return text

    def save(self, commit: bool = True) -> Credential:
        """A secret that is replaced starts afresh."""
        if (text := self.cleaned_data.get("text")) is not None:
            self.instance.sealed = vault.seal(text)
            self.instance.entered_for = self.cleaned_data["provider"].home
            self.instance.refused_at, self.instance.refusal = None, ""
        saved: Credential = super().save(commit)
        return saved
