"""Staff: the models on sale, their lives, and what each earns."""

from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextInputWidget,
)

from billing.staff.audited import audit_deed
from gateway.catalogue import capabilities, clock
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
    """What a model can do is ticked; what the product has no word for is typed beside it."""

    id = forms.RegexField(
        label=_("id"),
        regex=r"^[a-z0-9][a-z0-9._-]*$",
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("As customers ask for it: small letters, digits, points and dashes."),
    )
    capabilities = forms.MultipleChoiceField(
        label=_("Capabilities"),
        required=False,
        choices=list(capabilities.NAMES.items()),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    others = forms.CharField(
        label=_("Other capabilities"),
        required=False,
        max_length=400,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Words with commas between them, sold as they are written."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        has = self.instance.capabilities if self.instance.pk else []
        self.initial_capabilities: list[str] = has
        self.initial["others"] = ", ".join(capabilities.others(has))
        self.initial["capabilities"] = [each for each in capabilities.NAMES if each in has]

    def _get_validation_exclusions(self) -> set[str]:
        """Names of models have points, which a slug has not."""
        return {*super()._get_validation_exclusions(), "id"}  # type: ignore[misc]

    def clean_id(self) -> str:
        given: str = self.cleaned_data["id"]
        if Model.objects.filter(pk=given).exists():
            raise forms.ValidationError(
                gettext("There is a model %(id)s already.") % {"id": given}
            )
        return given

    @cached_property
    def changed_data(self) -> list[str]:
        """Both fields are one column."""
        found = ["capabilities" if name == "others" else name for name in super().changed_data]
        return list(dict.fromkeys(found))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        typed = (each.strip() for each in cleaned.get("others", "").split(","))
        chosen = list(dict.fromkeys([*cleaned.get("capabilities", []), *filter(None, typed)]))
        had = self.initial_capabilities  # they are shown in another order, which is no change
        cleaned["capabilities"] = had if {*had} == {*chosen} else chosen
        return cleaned


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
                    *(
                        "max_output",
                        "long_context_window",
                        "long_context_beta",
                        "capabilities",
                        "others",
                    ),
                    *("active", "sort_order", "released_at", "price", "earns"),
                )
            },
        ),
        (
            _("Its life"),
            {
                "fields": (
                    *("available_from", "ends_at", "deprecated_at", "successor", "redirects"),
                    *("vendor_notice", "users"),
                )
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What it is called stays: books, prices and keys name it."""
        return self.readonly_fields if obj is None else (*self.readonly_fields, "id")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With the price and the cost of everything on the page."""
        found = super().get_changelist_instance(request)
        costs, now = margins.known(), clock.now()
        for row in found.result_list:
            row.listed = schedule.in_force(row.pk, now)
            row.earned = costs.of(row.listed) if row.listed else []
        return found

    @admin.display(description=_("in / out, per million"))
    def price(self, row: Any) -> str:
        listed = getattr(row, "listed", None) or schedule.in_force(row.pk, clock.now())
        return (
            f"${dollars(listed.input)} / ${dollars(listed.output)}" if listed else gettext("none")
        )

    @admin.display(description=_("earns, per million"))
    def earns(self, row: Any) -> str:
        earned = getattr(row, "earned", None)
        if earned is None:
            listed = schedule.in_force(row.pk, clock.now())
            earned = margins.known([row.pk]).of(listed) if listed else []
        return margins.words(earned)

    @admin.display(description=_("customers of the last 30 days"))
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
        if "ends_at" in names:
            announcements.ended(obj, timezone.now())

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
