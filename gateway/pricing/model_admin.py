"""Staff: the models on sale, their lives, and what each earns."""

from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _t
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminTextareaWidget

from billing.staff.audited import audit_deed
from gateway.catalogue import clock
from gateway.catalogue.costs import margins
from gateway.catalogue.models import Alias, Model
from gateway.catalogue.prices import schedule
from gateway.pricing import announcements
from hontoni.money import dollars


class AliasInline(TabularInline):
    model = Alias
    fk_name = "model"
    extra = 0


class CatalogueForm(forms.ModelForm):  # type: ignore[type-arg]
    capabilities = forms.JSONField(
        required=False,
        initial=list,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text='A list of words, as ["reasoning", "tools", "vision"]; none: [].',
    )

    def clean_capabilities(self) -> list[str]:
        """What the catalogue is made of: anything else would stop it from being read."""
        given = self.cleaned_data["capabilities"] or []
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            raise forms.ValidationError("It is a list of words.")
        return given


@admin.register(Model)
class CatalogueAdmin(ModelAdmin):
    form = CatalogueForm
    audits_itself = True
    list_display = (
        *("id", "vendor", "upstream_id", "context_window", "max_output", "active"),
        *("ends_at", "successor", "price", "earns"),
    )
    list_filter = ("vendor", "active", "ends_at")
    search_fields = ("id", "name", "upstream_id")
    inlines = (AliasInline,)
    readonly_fields = ("price", "earns", "users")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("id", "name", "vendor", "upstream_id", "dialect", "context_window"),
                    *("max_output", "long_context_window", "long_context_beta", "capabilities"),
                    *("active", "sort_order", "released_at", "price", "earns"),
                )
            },
        ),
        (
            "Its life",
            {
                "fields": (
                    *("available_from", "ends_at", "deprecated_at", "successor", "redirects"),
                    *("vendor_notice", "users"),
                )
            },
        ),
    )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With the price and the cost of everything on the page."""
        found = super().get_changelist_instance(request)
        costs, now = margins.known(), clock.now()
        for row in found.result_list:
            row.listed = schedule.in_force(row.pk, now)
            row.earned = costs.of(row.listed) if row.listed else []
        return found

    @admin.display(description=_t("in / out, per million"))
    def price(self, row: Any) -> str:
        listed = getattr(row, "listed", None) or schedule.in_force(row.pk, clock.now())
        return f"${dollars(listed.input)} / ${dollars(listed.output)}" if listed else "none"

    @admin.display(description=_t("earns, per million"))
    def earns(self, row: Any) -> str:
        earned = getattr(row, "earned", None)
        if earned is None:
            listed = schedule.in_force(row.pk, clock.now())
            earned = margins.known([row.pk]).of(listed) if listed else []
        return margins.words(earned)

    @admin.display(description=_t("customers of the last 30 days"))
    def users(self, row: Model) -> str:
        """Who is told of its end."""
        return str(len(announcements.users_of(row.pk, timezone.now()))) if row.pk else "–"

    def save_model(
        self, request: HttpRequest, obj: Model, form: "ModelForm[Any]", change: bool
    ) -> None:
        columns = {field.name for field in Model._meta.concrete_fields}
        names = [name for name in form.changed_data if name in columns]
        rows = Model.objects.values(*names)
        before = rows.get(pk=obj.pk) if change and names else {}
        super().save_model(request, obj, form, change)
        if names:
            after = rows.get(pk=obj.pk)
            audit_deed(
                request,
                "change" if change else "add",
                f"model:{obj.pk}",
                before=_json(before),
                after=_json(after),
            )
        announcements.ends(timezone.now())

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """The other names it has."""
        rows = Alias.objects.filter(model=form.instance.pk).order_by("name")
        before = list(rows.values_list("name", flat=True))
        super().save_formset(request, form, formset, change)
        after = list(rows.values_list("name", flat=True))
        if before != after:
            audit_deed(
                request,
                "change aliases",
                f"model:{form.instance.pk}",
                before={"aliases": before},
                after={"aliases": after},
            )


def _json(values: dict[str, Any]) -> dict[str, Any]:
    """As the audit keeps them: lists and numbers as they are, all else in words."""
    plain = (int, list, type(None))
    return {name: v if isinstance(v, plain) else str(v) for name, v in values.items()}
