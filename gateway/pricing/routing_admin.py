"""Staff: who is asked first for a model, by what its vendors are compared, and how all are."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t
from unfold.admin import ModelAdmin
from unfold.decorators import action

from gateway.pricing.admin import RateAdmin
from gateway.usage import probes
from gateway.vendors.routing import health
from gateway.vendors.routing.models import RouteTerms, Routing
from hontoni import redis
from hontoni.money import dollars


@admin.register(Routing)
class RoutingAdmin(ModelAdmin):
    list_display = ("of_model", "choose")
    list_filter = ("choose",)
    list_select_related = ("model",)
    search_fields = ("model__id",)
    actions_list = ("health",)

    @admin.display(description=_t("model"), ordering="model")
    def of_model(self, row: Routing) -> str:
        return row.model_id or gettext("every other model")

    @action(description=_t("Health of vendors"), url_path="health", permissions=["view"])
    def health(self, request: HttpRequest) -> HttpResponse:
        """Every credential and model that was asked in the last minutes, by any gateway."""
        try:
            rows, problem = health.shown(), ""
        except redis.RedisError as error:
            rows, problem = [], str(error)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Health of vendors"),
            "opts": self.model._meta,
            "rows": rows,
            "problem": problem,
            "probes": probes.shown(timezone.now()),
        }
        return render(request, "admin/gateway/routing/health.html", context)


@admin.register(RouteTerms)
class RouteTermsAdmin(RateAdmin):
    list_display = ("model", "provider", "share", "in_price", "cached_price", "out_price")
    list_filter = ("provider", "model")
    list_select_related = ("model", "provider")
    search_fields = ("model__id", "provider__name")
    fieldsets = (
        (None, {"fields": ("provider", "model", "share")}),
        (
            _t("To compare by"),
            {
                "fields": ("input", "cache_read", "output", "confirmed"),
                "description": _t(
                    "By these alone the cheapest provider is chosen, from now on. They are no "
                    "costs: what margins, alarms and bills are held against are the versions in "
                    "Vendor prices."
                ),
            },
        ),
    )

    @admin.display(description=_t("input"), ordering="input")
    def in_price(self, row: RouteTerms) -> str:
        return _shown(row.input)

    @admin.display(description=_t("cached"), ordering="cache_read")
    def cached_price(self, row: RouteTerms) -> str:
        return _shown(row.cache_read)

    @admin.display(description=_t("output"), ordering="output")
    def out_price(self, row: RouteTerms) -> str:
        return _shown(row.output)


def _shown(rate: int | None) -> str:
    return "–" if rate is None else f"${dollars(rate)}"
