"""What staff type of a search provider. Its key is entered, sealed, never shown."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget

from gateway.vendors import vault
from gateway.vendors.web.models import SearchProvider, Shape


class SearchProviderForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    key = forms.CharField(
        required=False,
        max_length=500,
        label=_("key"),
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text=_(
            "Sealed, and never shown again; leave it empty to keep the one there is. A SearXNG "
            "may have none."
        ),
    )

    class Meta:
        model = SearchProvider
        fields = (
            *("name", "shape", "base_url", "key", "internal", "results", "priority", "active"),
        )

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if any(not "!" <= letter <= "~" for letter in key):
            raise forms.ValidationError(_("A key has no spaces and no letters beyond ASCII."))
        return key

    def clean(self) -> dict[str, Any]:
        """A key is for one address: it is entered again for another."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors or cleaned["key"]:
            return cleaned
        there = SearchProvider(shape=cleaned["shape"], base_url=cleaned["base_url"])
        if self.instance.sealed and self.instance.entered_for != there.home:
            self.add_error("key", _("Enter it again: it was for another address."))
        elif not self.instance.sealed and cleaned["shape"] == Shape.BRAVE:
            self.add_error("key", _("Brave answers nobody without one."))
        return cleaned

    def save(self, commit: bool = True) -> SearchProvider:
        if key := self.cleaned_data["key"]:
            self.instance.sealed = vault.seal(key)
            self.instance.entered_for = self.instance.home
        saved: SearchProvider = super().save(commit)
        return saved
