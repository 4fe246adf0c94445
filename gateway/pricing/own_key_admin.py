"""Staff: what customers' own keys cost them, and who has one. No key is shown."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

from billing.staff.price_changes import Change, ConfirmedForm
from gateway.catalogue import clock
from gateway.pricing import announcements, own_key_fees
from gateway.pricing.admin import RateAdmin
from gateway.vendors.own_keys.models import OwnKey, OwnKeyFee
from hontoni import errors
from hontoni.money import dollars
from hontoni.read_only import ReadOnlyAdmin
from hontoni.translated_errors import to_staff

_PARTS = (("per_million", _t("Per million tokens")), ("per_request", _t("Per request")))


class FeeForm(ConfirmedForm):
    """A new version; without a moment it begins as soon as it may."""

    effective_at = forms.SplitDateTimeField(
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        label=_t("In force from"),
        help_text=_t("UTC. Empty: as soon as every node knows it, a rise after its notice."),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors:
            try:
                cleaned["effective_at"] = own_key_fees.beginning(self.row(cleaned), clock.now())
            except errors.BadRequest as error:
                self.add_error(error.param, to_staff(error))
        return cleaned

    def row(self, cleaned: Mapping[str, Any]) -> OwnKeyFee:
        """What is typed, as a version."""
        names = ("vendor", "per_million", "per_request", "effective_at", "reason")
        return OwnKeyFee(**{name: cleaned.get(name) for name in names})

    def amounts(self, cleaned: Mapping[str, Any]) -> list[Change]:
        """Beside the version that is in force when this one begins."""
        if any(cleaned.get(name) is None for name, _ in _PARTS):
            return []
        row = self.row(cleaned)
        before = own_key_fees.before(row, clock.now())
        return [
            Change(str(label), getattr(before, name), getattr(row, name))
            for name, label in _PARTS
            if before is not None and getattr(before, name) != getattr(row, name)
        ]


@admin.register(OwnKeyFee)
class OwnKeyFeeAdmin(RateAdmin):
    """Versions: announced, withdrawn before they bind, and never changed."""

    form = FeeForm
    fields = ("vendor", "per_million", "per_request", "effective_at", "reason", "confirmed")
    list_display = ("vendors", "tokens", "a_request", "effective_at", "reason")
    list_filter = ("vendor",)

    @admin.display(description=_t("vendor"), ordering="vendor")
    def vendors(self, row: OwnKeyFee) -> str:
        return row.get_vendor_display() if row.vendor else gettext("every other vendor")

    @admin.display(description=_t("per million tokens"), ordering="per_million")
    def tokens(self, row: OwnKeyFee) -> str:
        return f"${dollars(row.per_million)}"

    @admin.display(description=_t("per request"), ordering="per_request")
    def a_request(self, row: OwnKeyFee) -> str:
        return f"${dollars(row.per_request)}"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        now = clock.now()
        return allowed and (
            obj is None
            or (own_key_fees.is_coming(obj, now) and own_key_fees.leaves_no_rise(obj, now))
        )

    def delete_model(self, request: HttpRequest, obj: OwnKeyFee) -> None:
        announcements.own_key_fee_withdrawn(obj)
        super().delete_model(request, obj)

    def save_model(
        self, request: HttpRequest, obj: OwnKeyFee, form: "ModelForm[Any]", change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        count = announcements.own_key_fee(obj, clock.now())
        self.message_user(
            request,
            gettext("%(fee)s. %(count)d customers are told of it by mail.")
            % {"fee": obj, "count": count},
        )


@admin.register(OwnKey)
class OwnKeyAdmin(ReadOnlyAdmin):
    """Who has brought which key: only its owner changes it, and nobody reads it."""

    list_display = ("user", "provider", "prefix", "active", "falls_back", "refused_at", "refusal")
    list_filter = ("provider", "active", ("refused_at", admin.EmptyFieldListFilter))
    list_select_related = ("user", "provider")
    search_fields = ("user__email", "provider__name")
    fields = (
        *("user", "provider", "prefix", "active", "falls_back", "refused_at", "refusal"),
        *("tested_at", "created_at"),
    )
