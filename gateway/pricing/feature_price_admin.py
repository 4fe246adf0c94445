"""Staff: what features cost (a tool's calls, a tier, a region), in versions as models' prices."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t

from gateway.catalogue import clock
from gateway.catalogue.costs import margins
from gateway.catalogue.costs.models import FeatureCost
from gateway.catalogue.features import prices
from gateway.catalogue.features.models import Feature, FeaturePrice, Kind, Pricing, times
from gateway.pricing.many_features import FeatureSheet
from gateway.pricing.many_pages import SheetPages
from gateway.pricing.version_admin import VersionAdmin, VersionForm, table
from hontoni.money import dollars

_TYPED = ("feature", "pricing", "amount", "factor")


class FeaturePriceForm(VersionForm):
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors:
            try:
                self.price(cleaned).clean()
            except ValidationError as error:
                self.add_error(None, error)
        return cleaned

    def price(self, cleaned: Mapping[str, Any]) -> FeaturePrice:
        """What is typed, as a version."""
        typed = {name: cleaned[name] for name in _TYPED}
        moment = cleaned.get("effective_at") or clock.now()
        return FeaturePrice(effective_at=moment, reason=cleaned.get("reason", ""), **typed)

    def is_whole(self, cleaned: Mapping[str, Any]) -> bool:
        return all(cleaned.get(name) is not None for name in _TYPED)


@admin.register(FeaturePrice)
class FeaturePriceAdmin(SheetPages, VersionAdmin):
    sheet = FeatureSheet
    form = FeaturePriceForm
    list_display = ("feature", "version", "since", "state", "costs", "earns", "reason")
    list_filter = ("effective_at", "feature__dialect", "feature__kind")
    list_select_related = ("feature",)
    search_fields = ("feature__name", "feature__note")
    autocomplete_fields = ("feature",)
    actions_list = ("many", "export")
    readonly_fields = ("version", "state", "rates")

    def get_queryset(self, request: HttpRequest) -> QuerySet[FeaturePrice]:
        now = timezone.now()
        begun = FeaturePrice.objects.filter(feature=OuterRef("feature"), effective_at__lte=now)
        newest = begun.order_by("-effective_at", "-id").values("pk")[:1]
        found: QuerySet[FeaturePrice] = super().get_queryset(request)
        return found.annotate(in_force=Subquery(newest))

    @admin.display(description=_t("costs"))
    def costs(self, price: FeaturePrice) -> str:
        return spoken(price)

    @admin.display(description=_t("costs us, and earns"))
    def earns(self, price: FeaturePrice) -> str:
        day = max(price.effective_at, timezone.now()).date()
        cost = margins.feature_costs(day, [price.feature_id]).get(price.feature_id)
        return margins.spoken(price, cost)

    def get_fields(self, request: HttpRequest, obj: FeaturePrice | None = None) -> list[str]:
        if obj is not None:
            return ["feature", "version", "effective_at", "state", "reason", "rates"]
        return [*_TYPED, "effective_at", "reason", "confirmed"]

    @admin.display(description=_t("before, after, and what it costs us"))
    def rates(self, price: FeaturePrice) -> SafeString:
        return table(price.previous(), price, margins.earned(price))

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in ("amount", "factor"):
            field.help_text = f"{db_field.help_text}{_beside(request, db_field.name)}"
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """`?feature=` fills in what is in force."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        price = _in_force(request)
        if price is None:
            return given
        return {name: getattr(price, name) for name in ("pricing", "amount", "factor")} | given


def _in_force(request: HttpRequest) -> FeaturePrice | None:
    """What is paid for the feature that `?feature=` names."""
    named = request.GET.get("feature", "")
    row = Feature.objects.filter(pk=named).first() if named.isdecimal() else None
    return None if row is None else prices.in_force([row], clock.now())[row.pk]


def _beside(request: HttpRequest, name: str) -> str:
    """What it is now and what it costs us, where the feature is known already."""
    price = _in_force(request)
    if price is None:
        return ""
    cost = margins.feature_costs(clock.now().date(), [price.feature_id]).get(price.feature_id)
    shown = [" " + gettext("Now %(amount)s.") % {"amount": _word(name, price)}]
    if cost is not None:
        shown.append(" " + gettext("Costs us %(amount)s.") % {"amount": _word(name, cost)})
    return "".join(shown)


def _word(name: str, row: FeaturePrice | FeatureCost) -> str:
    return f"${dollars(row.amount)}" if name == "amount" else f"{times(row.factor)} ×"


def spoken(price: FeaturePrice) -> str:
    """What is paid, in words."""
    if price.pricing == Pricing.PER_CALL:
        each = gettext("$%(amount)s a call")
        if price.feature.kind == Kind.COUNTER:
            each = gettext("$%(amount)s a unit")
        return each % {"amount": dollars(price.amount)}
    if price.pricing == Pricing.FACTOR:
        return f"{times(price.factor)} ×"
    return gettext("tokens") if price.pricing == Pricing.TOKENS else gettext("nothing of its own")
