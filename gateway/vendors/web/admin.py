"""Staff: who searches the web for models whose vendor does not."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.decorators import action

from gateway.vendors.web import testing
from gateway.vendors.web.forms import SearchProviderForm
from gateway.vendors.web.models import SearchProvider

_MOST_TRIED = 10  # each may take seconds


@admin.register(SearchProvider)
class SearchProviderAdmin(ModelAdmin):
    """In force on every gateway within seconds."""

    form = SearchProviderForm
    list_display = ("name", "shape", "base_url", "internal", "results", "priority", "active")
    list_filter = ("shape", "active")
    search_fields = ("name", "base_url")
    actions = ("try_them",)
    actions_detail = ("try_it",)

    @admin.action(
        permissions=["change"], description=gettext_lazy("Try them: search for one word")
    )
    def try_them(self, request: HttpRequest, queryset: QuerySet[SearchProvider]) -> None:
        for row in queryset[:_MOST_TRIED]:
            self._try(request, row)

    @action(description=gettext_lazy("Try it"), url_path="try", permissions=["change"])
    def try_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One search, as a customer's would be."""
        row = self.get_object(request, object_id)
        if row is None or not self.has_change_permission(request, row):
            raise PermissionDenied
        self._try(request, row)
        return redirect(reverse("admin:gateway_searchprovider_change", args=(object_id,)))

    def _try(self, request: HttpRequest, row: SearchProvider) -> None:
        verdict = testing.test(row)
        level = messages.SUCCESS if verdict.good else messages.ERROR
        self.message_user(request, f"{row} {verdict.shown}.", level)
