"""Staff: who answers. A credential can be written and replaced; nothing here shows one."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline

from gateway.vendors import probing
from gateway.vendors.forms import CredentialForm, ProviderForm, initial
from gateway.vendors.models import Auth, Credential, Offering, Provider, bind
from gateway.vendors.own_keys import keeping
from gateway.vendors.presets import BY_NAME, PRESETS, Preset

_MOST_TRIED = 20  # each may take seconds
_PARTS: dict[str, tuple[str, ...]] = {
    Auth.NONE: (),
    Auth.SIGV4: ("key_id", "secret", "session_token"),
    Auth.ENTRA: ("tenant", "key_id", "secret", "authority"),
    Auth.SERVICE_ACCOUNT: ("service_account",),
}
_ALL_PARTS = ("secret", "key_id", "session_token", "tenant", "authority", "service_account")


def _chosen(request: HttpRequest) -> Provider | None:
    """The provider that a link has chosen for a new credential."""
    given = request.GET.get("provider", "")
    return Provider.objects.filter(pk=given).first() if given.isdigit() else None


class OfferingInline(TabularInline):
    model = Offering
    extra = 0


_QUIRKS = ("without", "renames", "bare", "system", "schemaless", "replays")


@admin.register(Provider)
class ProviderAdmin(ModelAdmin):
    form = ProviderForm
    list_display = ["name", "vendor", "base_url", "everything", "own_keys", "active"]
    list_filter = ["vendor", "hosting", "own_keys", "active"]
    search_fields = ["name", "base_url"]
    inlines = [OfferingInline]
    change_form_before_template = "admin/gateway/provider/presets.html"
    fieldsets = [
        (None, {"fields": ("name", "vendor", "base_url", "everything", "own_keys", "active")}),
        (_("How it is spoken to"), {"fields": ("dialect", "auth")}),
        (_("In a cloud"), {"fields": ("hosting", "region", "project", "api_version")}),
        (_("What it does otherwise"), {"fields": _QUIRKS}),
    ]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What a preset begins with."""
        preset = BY_NAME.get(request.GET.get("preset", ""))
        return initial(preset) if preset else dict(super().get_changeform_initial_data(request))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        given = {"presets": _grouped(), "preset": BY_NAME.get(request.GET.get("preset", ""))}
        response: HttpResponse = super().add_view(
            request, form_url, {**(extra_context or {}), **given}
        )
        return response

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        found = Provider.objects.filter(pk=object_id).first() if object_id.isdigit() else None
        preset = BY_NAME.get(found.name) if found else None
        keys = Credential.objects.filter(provider=found).count() if found else 0
        given = {"preset": preset, "provider": found, "credentials": keys}
        response: HttpResponse = super().change_view(
            request, object_id, form_url, {**(extra_context or {}), **given}
        )
        return response

    def save_model(
        self, request: HttpRequest, obj: Provider, form: "forms.ModelForm[Provider]", change: bool
    ) -> None:
        """Its credentials are nobody's business at another address: they are entered again."""
        bind()
        super().save_model(request, obj, form, change)
        mine = Credential.objects.filter(provider=obj, active=True)
        if count := mine.exclude(entered_for=obj.home).update(active=False):
            said = gettext("%(count)d credentials are inactive until they are entered again.")
            said %= {"count": count}
            self.message_user(request, said, messages.WARNING)
        if count := keeping.moved(obj):
            said = gettext(
                "%(count)d keys of customers' own are off until their owners enter them again."
            )
            said %= {"count": count}
            self.message_user(request, said, messages.WARNING)


def _grouped() -> dict[str, list[Preset]]:
    groups: dict[str, list[Preset]] = {}
    for preset in PRESETS:
        groups.setdefault(preset.group, []).append(preset)
    return groups


@admin.register(Credential)
class CredentialAdmin(ModelAdmin):
    form = CredentialForm
    list_display = ["label", "provider", "priority", "weight", "active", "refused_at", "refusal"]
    list_filter = ["provider", "active", ("refused_at", admin.EmptyFieldListFilter)]
    list_select_related = ["provider"]
    search_fields = ["label", "provider__name"]
    readonly_fields = ["refused_at", "refusal", "created_at"]
    actions = ["try_them"]

    def get_fields(self, request: HttpRequest, obj: Credential | None = None) -> list[str]:
        """Those that its provider's way to show a key has; of an unknown provider all."""
        provider = obj.provider if obj else _chosen(request)
        entered = _PARTS.get(provider.auth, ("secret",)) if provider else _ALL_PARTS
        fixed = ["refused_at", "refusal", "created_at"]
        return ["provider", "label", *entered, "priority", "weight", "active", *fixed]

    @admin.action(
        permissions=["change"],
        description=_("Try them: is the provider reached, does it take the key?"),
    )
    def try_them(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        for credential in queryset.select_related("provider")[:_MOST_TRIED]:
            verdict = probing.credential(credential)
            level = messages.SUCCESS if verdict.good else messages.ERROR
            self.message_user(request, f"{credential} {verdict.shown}.", level)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if settings.SANDBOX and request.method == "GET":
            said = gettext("In the sandbox nobody else is asked: set SANDBOX=false to use these.")
            self.message_user(request, said, messages.WARNING)
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response
