"""Staff: what may be asked of the vendors and what it costs; and what customers asked in vain."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.staff.audited import ReadOnlyAdmin, audit_deed
from billing.staff.dollars import RATES
from billing.staff.price_changes import ConfirmedForm, MoneyAdmin
from gateway.catalogue.costs import margins
from gateway.catalogue.costs.models import FeatureCost
from gateway.catalogue.features import allowing
from gateway.catalogue.features.models import WHOLE, Feature, Kind, LeftOut, Pricing, times
from hontoni.money import dollars

_SHOWN = 40  # characters of a name in a list; a customer's may be long


class FeatureForm(ConfirmedForm):
    """What is below what the vendor asks needs a reason, as every price does; and so does what is
    dearer than before, for it binds within seconds."""

    reason = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_(
            "Why it is below what it costs us, or dearer than before. The audit keeps it."
        ),
    )

    @cached_property
    def changed_data(self) -> list[str]:
        """A reason is no column of its own."""
        return [name for name in super().changed_data if name != "reason"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        names = ("kind", "name", "pricing", "amount", "factor")
        if self.errors or cleaned.get("reason") or not {*names} & {*self.changed_data}:
            return cleaned
        typed = Feature(**{name: cleaned[name] for name in names if name in cleaned})
        before = Feature.objects.filter(pk=self.instance.pk, active=True).first()
        if before is not None and _rises(before, typed):
            self.add_error("reason", gettext("Dearer than before, within seconds. Say why."))
        cost = _cost(self.instance.pk)
        is_price = typed.pricing in (Pricing.PER_CALL, Pricing.FACTOR)
        if cost is None or not is_price:
            return cleaned
        margin = margins.of_feature(typed, cost)
        if margin.earned < 0:
            self.add_error(
                "reason",
                gettext("Below cost: %(percent)s. Say why.") % {"percent": margin.percent},
            )
        return cleaned


def _rises(before: Feature, after: Feature) -> bool:
    """Whether a request can cost more: a call, or its tokens by a factor."""
    per_call = [each.amount * (each.pricing == Pricing.PER_CALL) for each in (before, after)]
    factors = [e.factor if e.pricing == Pricing.FACTOR else WHOLE for e in (before, after)]
    return per_call[1] > per_call[0] or factors[1] > factors[0]


def _is_below_cost(feature: Feature) -> bool:
    cost = _cost(feature.pk)
    return cost is not None and margins.of_feature(feature, cost).earned < 0


def _cost(feature: int | None) -> FeatureCost | None:
    """What it costs us today."""
    begun = FeatureCost.objects.filter(feature=feature, since__lte=timezone.now().date())
    return begun.order_by("-since").first()


@admin.register(Feature)
class FeatureAdmin(MoneyAdmin):
    """In force on every node within seconds."""

    form = FeatureForm
    readonly_fields = ("earns",)
    formfield_overrides = {**ModelAdmin.formfield_overrides, **RATES}
    list_display = [
        *("name", "note", "what", "dialect", "only_models", "costs", "earns", "most_calls"),
        "active",
    ]
    list_filter = ["dialect", "kind", "pricing", "active"]
    search_fields = ["name", "note", "only_models"]

    @admin.display(description=_("kind"), ordering="kind")
    def what(self, row: Feature) -> str:
        return str(row.get_kind_display())

    @admin.display(description=_("costs"), ordering="pricing")
    def costs(self, row: Feature) -> str:
        if row.pricing == Pricing.PER_CALL:
            said = gettext("%s a unit") if row.kind == Kind.COUNTER else gettext("%s a call")
            return said % f"${dollars(row.amount)}"
        if row.pricing == Pricing.FACTOR:
            return (
                f"{times(row.factor)} ×" if row.factor != WHOLE else gettext("the price as it is")
            )
        tokens = row.pricing == Pricing.TOKENS
        return gettext("tokens") if tokens else gettext("nothing of its own")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With what the features cost us."""
        found = super().get_changelist_instance(request)
        costs: dict[int, FeatureCost] = {}
        for cost in FeatureCost.objects.filter(since__lte=timezone.now().date()).order_by("since"):
            costs[cost.feature_id] = cost
        for row in found.result_list:
            row.cost = costs.get(row.pk)
        return found

    @admin.display(description=_("costs us, and earns"))
    def earns(self, row: Any) -> str:
        cost = row.cost if hasattr(row, "cost") else _cost(row.pk)
        return margins.spoken(row, cost)

    def save_model(self, request: HttpRequest, obj: Feature, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if reason := form.cleaned_data.get("reason"):
            subject, said = self.subject(obj), {"reason": reason}
            deed = "sell below cost" if _is_below_cost(obj) else "price feature"
            audit_deed(request, deed, subject, before={}, after=said)
        allowing.forget_allowed(obj)


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

    @admin.display(description=_("name"), ordering="name")
    def short_name(self, row: LeftOut) -> str:
        return row.name if len(row.name) <= _SHOWN else f"{row.name[:_SHOWN]}…"

    @admin.display(description=_("kind"), ordering="kind")
    def what(self, row: LeftOut) -> str:
        return str(row.get_kind_display())

    def has_add_feature_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("gateway.add_feature")

    @admin.display(description=_("last request"), ordering="last_request_id")
    def last_request(self, row: LeftOut) -> str:
        """Shortened, for telephones."""
        return row.last_request_id and f"…{row.last_request_id[-8:]}"

    @action(description=_("Allow (costs nothing of its own)"), permissions=["allow"])
    def allow(self, request: HttpRequest, chosen: QuerySet[LeftOut]) -> None:
        """Put them on the list, and off this one. What costs money is allowed at a price."""
        allowed = 0
        for row in chosen:
            if why := allowing.refusal(row):
                self.message_user(
                    request,
                    gettext("Not allowed, %(what)s: %(why)s.")
                    % {"what": row, "why": gettext(why)},
                    messages.ERROR,
                )
                continue
            _allow(request, row)
            allowed += 1
        if allowed:
            said = gettext("%(count)d allowed. Customers' next requests have it.") % {
                "count": allowed
            }
            self.message_user(request, said, messages.SUCCESS)

    @action(description=_("Allow…"), permissions=["add_feature"], url_path="price")
    def allow_at_a_price(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go to the form of a new row of the list, with its name filled in."""
        row = self.get_object(request, object_id)
        if row is None:
            return redirect(reverse("admin:gateway_leftout_changelist"))
        query = urlencode({"dialect": row.dialect, "kind": row.kind, "name": row.name})
        return redirect(f"{reverse('admin:gateway_feature_add')}?{query}")

    @action(description=_("Forget, and count anew"), permissions=["allow"])
    def forget(self, request: HttpRequest, chosen: QuerySet[LeftOut]) -> None:
        """Make room: names come from clients, and there is an end to how many are kept."""
        for row in chosen:
            _forget(request, row)
        self.message_user(
            request, gettext("Forgotten until they are asked for again."), messages.SUCCESS
        )


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
