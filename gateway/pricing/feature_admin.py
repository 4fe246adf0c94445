"""Staff: what may be asked of the vendors and what it costs; and what customers asked in vain."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.staff.audited import ReadOnlyAdmin, audit_deed
from billing.staff.dollars import RATES
from billing.staff.price_changes import ConfirmedForm, MoneyAdmin
from gateway.catalogue import clock
from gateway.catalogue.costs import margins
from gateway.catalogue.features import allowing, prices
from gateway.catalogue.features.models import Feature, FeaturePrice, LeftOut
from gateway.catalogue.features.prices import Displaced
from gateway.pricing import announcements
from gateway.pricing.feature_price_admin import spoken
from gateway.usage.models import FeatureUse

_SHOWN = 40  # characters of a name in a list; a customer's may be long


class FeatureForm(ConfirmedForm):
    """What makes things dearer by standing before another row, or by counting otherwise, binds
    within seconds and needs a reason: its customers are told. Prices are versions of their own."""

    reason = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_t(
            "Why somebody pays more from now on. The audit keeps it, and who does is told."
        ),
    )
    displaced: Sequence[Displaced] = ()

    @cached_property
    def changed_data(self) -> list[str]:
        """A reason is no column of its own."""
        return [name for name in super().changed_data if name != "reason"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.errors:
            return cleaned
        now = clock.now()
        self.displaced = prices.dearer(self._typed(cleaned), now)
        if self.displaced and not cleaned.get("reason"):
            words = "; ".join(
                f"{each.after.feature}: {spoken(each.before)} → {spoken(each.after)}"
                for each in self.displaced[:_SHOWN]
            )
            refusal = gettext("Dearer than before, within seconds. Say why.")
            self.add_error("reason", f"{refusal} {words}")
        return cleaned

    def _typed(self, cleaned: Mapping[str, Any]) -> Feature:
        """The row as it would be."""
        kept = Feature.objects.filter(pk=self.instance.pk).first() or Feature()
        for name in (field.name for field in Feature._meta.concrete_fields):
            if name in cleaned:
                setattr(kept, name, cleaned[name])
        return kept


@admin.register(Feature)
class FeatureAdmin(MoneyAdmin):
    """What may be asked for, in force on every node within seconds; what it costs is a version of
    its price."""

    form = FeatureForm
    formfield_overrides = {**ModelAdmin.formfield_overrides, **RATES}
    list_display = [
        *("name", "note", "what", "dialect", "only_models", "costs", "earns", "coming"),
        *("most_calls", "active"),
    ]
    list_filter = ["dialect", "kind", "pricing", "active"]
    search_fields = ["name", "note", "only_models"]
    actions_detail = ["announce"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["costs", "earns", "coming"] if obj is not None else []

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A new one has its first price on the form; then there are versions."""
        return ["pricing", "amount", "factor"] if obj is not None else []

    @admin.display(description=_t("kind"), ordering="kind")
    def what(self, row: Feature) -> str:
        return str(row.get_kind_display())

    @admin.display(description=_t("costs"))
    def costs(self, row: Any) -> str:
        return spoken(_price(row))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With what the features cost customers and us."""
        found = super().get_changelist_instance(request)
        now = clock.now()
        present = prices.in_force(found.result_list, now)
        costs = margins.feature_costs(now.date(), present)
        coming = FeaturePrice.objects.filter(effective_at__gt=now).select_related("feature")
        for row in found.result_list:
            row.price, row.cost = present[row.pk], costs.get(row.pk)
            row.later = [each for each in coming if each.feature_id == row.pk]
        return found

    @admin.display(description=_t("costs us, and earns"))
    def earns(self, row: Any) -> str:
        if hasattr(row, "cost"):
            return margins.spoken(row.price, row.cost)
        return margins.spoken(_price(row), margins.feature_costs(clock.now().date()).get(row.pk))

    @admin.display(description=_t("announced"))
    def coming(self, row: Any) -> str:
        if not hasattr(row, "later"):
            row.later = FeaturePrice.objects.filter(feature=row, effective_at__gt=clock.now())
        words = (f"{each.effective_at:%Y-%m-%d %H:%M}: {spoken(each)}" for each in row.later)
        return "; ".join(words) or "–"

    def has_announce_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("gateway.add_featureprice")

    @action(description=_t("Another price…"), permissions=["announce"], url_path="price")
    def announce(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go to the form of a new version, with what is in force filled in."""
        return redirect(f"{reverse('admin:gateway_featureprice_add')}?feature={int(object_id)}")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Receipts name it once somebody has paid for it: then it is switched off."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and obj is not None and not _is_kept(obj)

    def save_model(self, request: HttpRequest, obj: Feature, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if reason := form.cleaned_data.get("reason"):
            subject, facts = self.subject(obj), {"reason": reason}
            audit_deed(request, "price feature", subject, before={}, after=facts)
        if count := announcements.displaced(obj, form.displaced, clock.now()):
            words = gettext("%(count)s customers are told that they pay more.")
            self.message_user(request, words % {"count": count})
        allowing.forget_allowed(obj)


def _is_kept(row: Feature) -> bool:
    """Whether it stays: what stands behind it may be dearer, it has versions of its price, or
    somebody has paid for it."""
    return row.active or row.prices.exists() or FeatureUse.objects.filter(feature=row).exists()


def _price(row: Any) -> FeaturePrice:
    found: FeaturePrice = (
        getattr(row, "price", None) or prices.in_force([row], clock.now())[row.pk]
    )
    return found


@admin.register(LeftOut)
class LeftOutAdmin(ReadOnlyAdmin):
    audits_itself = True
    list_display = [
        *("short_name", "what", "dialect", "count", "first_at", "last_at", "last_user"),
        "last_request",
    ]
    list_filter = ["dialect", "kind", "last_at"]
    list_select_related = ["last_user"]
    search_fields = ["name", "last_user__email", "last_request_id"]
    actions = ["allow", "forget"]
    actions_row = actions_detail = ["allow_at_a_price"]

    def has_allow_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("gateway.allow_leftout")

    @admin.display(description=_t("name"), ordering="name")
    def short_name(self, row: LeftOut) -> str:
        return row.name if len(row.name) <= _SHOWN else f"{row.name[:_SHOWN]}…"

    @admin.display(description=_t("kind"), ordering="kind")
    def what(self, row: LeftOut) -> str:
        return str(row.get_kind_display())

    def has_add_feature_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("gateway.add_feature")

    @admin.display(description=_t("last request"), ordering="last_request_id")
    def last_request(self, row: LeftOut) -> str:
        """Shortened, for telephones."""
        return row.last_request_id and f"…{row.last_request_id[-8:]}"

    @action(description=_t("Allow (costs nothing of its own)"), permissions=["allow"])
    def allow(self, request: HttpRequest, chosen: QuerySet[LeftOut]) -> None:
        """Put them on the list, and off this one. What costs money is allowed at a price."""
        allowed = 0
        for row in chosen:
            if why := allowing.refusal(row):
                words = gettext("Not allowed, %(what)s: %(why)s.")
                words %= {"what": row, "why": gettext(why)}
                self.message_user(request, words, messages.ERROR)
                continue
            _allow(request, row)
            allowed += 1
        if allowed:
            words = gettext("%(count)d allowed. Customers' next requests have it.")
            self.message_user(request, words % {"count": allowed}, messages.SUCCESS)

    @action(description=_t("Allow…"), permissions=["add_feature"], url_path="price")
    def allow_at_a_price(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go to the form of a new row of the list, with its name filled in."""
        row = self.get_object(request, object_id)
        if row is None:
            return redirect(reverse("admin:gateway_leftout_changelist"))
        query = urlencode({"dialect": row.dialect, "kind": row.kind, "name": row.name})
        return redirect(f"{reverse('admin:gateway_feature_add')}?{query}")

    @action(description=_t("Forget, and count anew"), permissions=["allow"])
    def forget(self, request: HttpRequest, chosen: QuerySet[LeftOut]) -> None:
        """Make room: names come from clients, and there is an end to how many are kept."""
        for row in chosen:
            _forget(request, row)
        words = gettext("Forgotten until they are asked for again.")
        self.message_user(request, words, messages.SUCCESS)


@transaction.atomic
def _allow(request: HttpRequest, row: LeftOut) -> None:
    audit_deed(
        request,
        "allow",
        f"feature:{row}",
        before={"count": row.count},
        after={"allowed": row.name},
    )
    allowing.allow(row)


@transaction.atomic
def _forget(request: HttpRequest, row: LeftOut) -> None:
    audit_deed(request, "forget", f"left_out:{row}", before={"count": row.count}, after={})
    row.delete()
