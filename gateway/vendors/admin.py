"""Staff: who answers. A credential can be written and replaced; nothing here shows one."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminPasswordWidget

from gateway.vendors import vault
from gateway.vendors.models import Credential, Offering, Provider, bind
from gateway.vendors.own_keys import keeping


class OfferingInline(TabularInline):
    model = Offering
    extra = 0


@admin.register(Provider)
class ProviderAdmin(ModelAdmin):
    list_display = ["name", "vendor", "base_url", "everything", "own_keys", "active"]
    list_filter = ["vendor", "active"]
    search_fields = ["name", "base_url"]
    inlines = [OfferingInline]

    def save_model(
        self, request: HttpRequest, obj: Provider, form: "forms.ModelForm[Provider]", change: bool
    ) -> None:
        """Its credentials are nobody's business at another address: they are entered again."""
        bind()
        super().save_model(request, obj, form, change)
        mine = Credential.objects.filter(provider=obj, active=True)
        if count := mine.exclude(entered_for=obj.home).update(active=False):
            said = f"{count} credentials are inactive until they are entered again."
            self.message_user(request, said, messages.WARNING)
        if count := keeping.moved(obj):
            said = f"{count} keys of customers' own are off until their owners enter them again."
            self.message_user(request, said, messages.WARNING)


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    secret = forms.CharField(
        required=False,
        max_length=1000,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="The provider's API key. It is sealed and never shown again; leave it empty to "
        "keep the one there is.",
    )

    class Meta:
        model = Credential
        fields = ("provider", "label", "secret", "priority", "weight", "active")

    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"]
        if not secret and not self.instance.sealed:
            raise forms.ValidationError("A new credential needs its secret.")
        if any(not "!" <= letter <= "~" for letter in secret):
            raise forms.ValidationError("A key has no spaces and no letters beyond ASCII.")
        return secret

    def clean(self) -> dict[str, Any]:
        """A secret is for one provider at one address."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        provider, before = cleaned.get("provider"), self.instance.entered_for
        moved = provider and self.instance.sealed and before not in ("", provider.home)
        moved = moved or (self.instance.pk and not before and "provider" in self.changed_data)
        if moved and not cleaned.get("secret") and not self.errors:
            self.add_error("secret", f"Enter it again: it was for {before or 'another provider'}.")
        return cleaned

    def save(self, commit: bool = True) -> Credential:
        """A secret that is replaced starts afresh."""
        if secret := self.cleaned_data["secret"]:
            self.instance.sealed = vault.seal(secret)
            self.instance.entered_for = self.cleaned_data["provider"].home
            self.instance.refused_at, self.instance.refusal = None, ""
        saved: Credential = super().save(commit)
        return saved


@admin.register(Credential)
class CredentialAdmin(ModelAdmin):
    form = CredentialForm
    list_display = ["label", "provider", "priority", "weight", "active", "refused_at", "refusal"]
    list_filter = ["provider", "active", ("refused_at", admin.EmptyFieldListFilter)]
    list_select_related = ["provider"]
    search_fields = ["label", "provider__name"]
    readonly_fields = ["refused_at", "refusal", "created_at"]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if settings.SANDBOX and request.method == "GET":
            said = "In the sandbox nobody else is asked: set SANDBOX=false to use these."
            self.message_user(request, said, messages.WARNING)
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response
