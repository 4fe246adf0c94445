"""Staff: a price is announced in dollars, and withdrawn before it binds; never changed.

Wherever a price stands, what it earns stands beside it, and before it is saved, what it was.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t
from unfold.decorators import action

from gateway.catalogue import clock
from gateway.catalogue.bucket_labels import LABELS, SHORT, field_label
from gateway.catalogue.costs import margins
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.prices import schedule
from gateway.pricing.many import ModelSheet
from gateway.pricing.many_pages import SheetPages
from gateway.pricing.version_admin import VersionAdmin, VersionForm, table
from gateway.usage.corrections import correction_pages
from hontoni.money import dollars

_LONG = [f"long_{bucket}" for bucket in BUCKETS]


class PriceForm(VersionForm):
    def price(self, cleaned: Mapping[str, Any]) -> Price:
        """What is typed, as a version."""
        columns = {name: cleaned.get(name) for name in (*BUCKETS, "long_context_above", *_LONG)}
        return Price(model=cleaned["model"], reason=cleaned.get("reason", ""), **columns)

    def is_whole(self, cleaned: Mapping[str, Any]) -> bool:
        rated = all(cleaned.get(name) is not None for name in BUCKETS)
        return rated and cleaned.get("model") is not None


@admin.register(Price)
class PriceAdmin(SheetPages, VersionAdmin):
    sheet = ModelSheet
    form = PriceForm
    list_display = (
        *("model", "version", "since", "state", "earns"),
        *(f"shown_{name}" for name in BUCKETS),
    )
    list_filter = ("model", "effective_at")
    list_select_related = ("model",)
    actions_detail = ("correct",)
    actions_list = ("many", "export")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        now = timezone.now()
        begun = Price.objects.filter(model=OuterRef("model"), effective_at__lte=now)
        newest = begun.order_by("-effective_at", "-id").values("pk")[:1]
        found: QuerySet[Price] = super().get_queryset(request)
        return found.annotate(in_force=Subquery(newest))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With what everything on the page costs us."""
        found = super().get_changelist_instance(request)
        costs = margins.known({price.model_id for price in found.result_list})
        for price in found.result_list:
            price.margins = costs.of(price)
        return found

    @admin.display(description=_t("earns least with"))
    def earns(self, price: Any) -> str:
        worst = margins.least(price.margins)
        return f"{worst.label}: {worst}" if worst else gettext("cost unknown")

    def get_fields(self, request: HttpRequest, obj: Price | None = None) -> list[str]:
        if obj is not None:
            return ["model", "version", "effective_at", "state", "reason", "rates"]
        typed = ["model", "effective_at", *BUCKETS, "long_context_above", *_LONG, "reason"]
        return [*typed, "confirmed"]

    readonly_fields = ("version", "state", "rates")

    @admin.display(description=_t("dollars per million tokens"))
    def rates(self, price: Price) -> SafeString:
        """Each bucket before, after and beside its cost; and who is told."""
        return table(price.previous(), price, margins.earned(price))

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        bucket = db_field.name.removeprefix("long_")
        if bucket in LABELS:
            field.label = field_label(db_field.name)
            field.help_text = gettext("Dollars per million tokens.") + _beside(
                request, db_field.name
            )
        elif db_field.name == "long_context_above":
            field.help_text = gettext(
                "Tokens of a prompt, from which on the prices below hold. Empty: none."
            )
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """`?model=` fills in what is in force."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        price = _in_force(request)
        if price is None:
            return given
        names = (*BUCKETS, "long_context_above", *_LONG)
        return {name: getattr(price, name) for name in names} | given

    def has_correct_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("gateway.correct_requests")

    @action(description=_t("Correct requests…"), url_path="correct", permissions=["correct"])
    def correct(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Price requests anew at this version: preview, then confirm."""
        price = get_object_or_404(Price.objects.select_related("model"), pk=object_id)
        return correction_pages.correct(self, request, price)


def _in_force(request: HttpRequest) -> Price | None:
    model = request.GET.get("model")
    return schedule.in_force(model, clock.now()) if model else None


def _beside(request: HttpRequest, name: str) -> str:
    """What it is now and what it costs us, where the model is known already."""
    price = _in_force(request)
    if price is None:
        return ""
    now = getattr(price, name)
    words = gettext("Now none of its own.")
    if now is not None:
        words = gettext("Now %(amount)s.") % {"amount": f"${dollars(now)}"}
    cost = margins.known([price.model_id]).on(price.model_id, clock.now().date())
    if cost:
        costs = {"amount": f"${dollars(cost.rate(name))}"}
        words += " " + gettext("Costs us %(amount)s.") % costs
    return f" {words}"


def _shown(bucket: str) -> Any:
    @admin.display(
        description=format_lazy("{}, {}", _t(SHORT[bucket]), _t("per million")), ordering=bucket
    )
    def shown(self: PriceAdmin, price: Any) -> str:
        earned = {each.bucket: each for each in price.margins}.get(bucket)
        return f"${dollars(getattr(price, bucket))}" + (f" {earned}" if earned else "")

    return shown


for _bucket in BUCKETS:
    setattr(PriceAdmin, f"shown_{_bucket}", _shown(_bucket))
