"""Staff: versions of prices, of models and features alike, are announced in dollars, and withdrawn
before they bind; never changed. Before one is saved it is shown beside what it was."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t
from unfold.admin import ModelAdmin

from billing.staff.audited import email_of
from billing.staff.dollars import RATES
from billing.staff.price_changes import Change, ConfirmedForm
from gateway.catalogue import clock
from gateway.catalogue.costs.margins import Margin
from gateway.catalogue.prices import changes, schedule
from gateway.catalogue.prices.changes import Priced
from gateway.pricing import announcements
from hontoni import errors
from hontoni.drf import request_id
from hontoni.translated_errors import to_staff


class VersionForm(ConfirmedForm):
    """A new version. Without a moment it begins as soon as every node knows it, and a rise when
    its customers have had their notice."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.errors:
            return cleaned
        try:
            price = self.price(cleaned)
            begins = schedule.beginning(cleaned.get("effective_at"), price)
            cleaned["effective_at"] = price.effective_at = begins
            schedule.check(price, clock.now())
        except errors.BadRequest as error:
            self.add_error(error.param, to_staff(error))
        return cleaned

    def price(self, cleaned: Mapping[str, Any]) -> Priced:
        """What is typed, as a version."""
        raise NotImplementedError

    def is_whole(self, cleaned: Mapping[str, Any]) -> bool:
        """Whether enough is typed to be compared."""
        raise NotImplementedError

    def amounts(self, cleaned: Mapping[str, Any]) -> list[Change]:
        """Beside the version that is in force when this one begins."""
        if not self.is_whole(cleaned):
            return []
        price = self.price(cleaned)
        before = price.current(cleaned.get("effective_at") or clock.now())
        return [
            Change(step.label.capitalize(), step.before, step.after)
            for step in changes.steps(before, price)
            if step.before is not None
        ]


class VersionAdmin(ModelAdmin):
    audits_itself = True
    formfield_overrides = RATES
    ordering = ("-effective_at", "-id")

    @admin.display(description=_t("version"), ordering="id")
    def version(self, price: Any) -> int:
        """As receipts call it."""
        number: int = price.pk
        return number

    @admin.display(description=_t("in force from"), ordering="effective_at")
    def since(self, price: Any) -> str:
        return f"{price.effective_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"

    @admin.display(description=_t("state"))
    def state(self, price: Any) -> str:
        """Of one whose `current` is the version in force."""
        if price.effective_at > timezone.now():
            return gettext("coming")
        return gettext("in force") if price.pk == price.in_force else gettext("past")

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "effective_at":
            field.label, field.required, field.initial = gettext("In force from"), False, None
            field.help_text = gettext(
                "UTC. Empty: in %(seconds)s seconds, when every node knows it; a rise %(days)s "
                "days from now, when its customers have been told."
            ) % {"seconds": schedule.LEAD.seconds, "days": changes.notice().days}
        return field

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (
            obj is None or (schedule.is_coming(obj) and schedule.leaves_no_rise(obj))
        )

    def save_model(
        self, request: HttpRequest, obj: Any, form: "ModelForm[Any]", change: bool
    ) -> None:
        notified = announcements.announce(obj, email_of(request), request_id(request))
        words = gettext(
            "%(price)s: in force from then on, on every node at once. %(count)s customers are "
            "told."
        )
        self.message_user(request, words % {"price": obj, "count": notified})

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        announcements.withdraw(obj, actor=email_of(request), request_id=request_id(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for price in queryset:
            try:
                self.delete_model(request, price)
            except errors.Conflict as late:
                self.message_user(request, f"{price}: {late.message}", messages.ERROR)


def table(before: Priced | None, price: Priced, earned: list[Margin]) -> SafeString:
    """A version beside the one before it, and beside what it costs."""
    margins = {each.bucket: each for each in earned}
    rows = [
        {"step": step, "margin": margins.get(step.bucket)} for step in changes.steps(before, price)
    ]
    return render_to_string("admin/gateway/price/table.html", {"rows": rows})
