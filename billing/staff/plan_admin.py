"""Staff edit what is sold, and cancel, resume or end what customers have.

What staff change takes effect at once for everybody it concerns, and is audited.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.plans import price_list, prices, surcharges, terms
from billing.plans.models import AddOn, Plan, PriceNotice, ResetPass, Subscription
from billing.staff import customer_deeds as deeds
from billing.staff.audited import ReadOnlyAdmin, audit_deed
from billing.staff.dollars import DOLLARS
from billing.staff.price_changes import MoneyAdmin
from billing.subscriptions import changes
from hontoni import errors
from hontoni.money import dollars
from hontoni.translated_errors import to_staff


def _subject(sold: Plan | AddOn) -> str:
    return f"{sold._meta.model_name}:{sold.slug}"


class SoldAdmin(MoneyAdmin):
    """Plans and add-ons. They are never deleted: deactivate instead."""

    formfield_overrides = DOLLARS
    list_filter = ["active"]
    search_fields = ["slug", "name"]

    def subject(self, obj: Plan | AddOn) -> str:
        return _subject(obj)

    @admin.display(description=_("whom the price binds, and from when"))
    def binding(self, sold: Plan | AddOn) -> str:
        return prices.binding(sold)

    @admin.display(description=_("a month"), ordering="price")
    def monthly_price(self, sold: Plan | AddOn) -> str:
        return f"${dollars(sold.price)}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: Any, form: "ModelForm[Any]", change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if change and form.changed_data:
            self.apply(obj)
        if change and "price" in form.changed_data:
            self.message_user(
                request,
                gettext("%(price)s binds: %(whom)s")
                % {"price": f"${dollars(obj.price)}", "whom": prices.binding(obj)},
                messages.WARNING,
            )

    def apply(self, sold: Any) -> None:
        """Let it take effect for everybody who has it."""
        raise NotImplementedError

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Whoever edits prices comes by here, before and after."""
        if request.method == "GET":
            for warning in price_list.dominated():
                self.message_user(request, warning, messages.WARNING)
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response


@admin.register(Plan)
class PlanAdmin(SoldAdmin):
    """A surcharge that rises is told, and waits."""

    list_display = ["name", "monthly_price", *Plan.LIMITS, "key_cap", "overflow_surcharge"]
    list_display += ["active", "is_default"]
    readonly_fields = ["is_default", "binding", "surcharge_binding"]
    actions = ["make_default"]

    @admin.display(description=_("which surcharge holds, and from when"))
    def surcharge_binding(self, plan: Plan) -> str:
        coming = plan.surcharge_coming(timezone.now())
        if coming is None:
            return f"{plan.overflow_surcharge}%"
        words = {"before": coming[0], "after": coming[1], "when": f"{coming[2]:%Y-%m-%d %H:%M}"}
        return gettext("%(before)s%% until %(when)s UTC, then %(after)s%%") % words

    def save_model(
        self, request: HttpRequest, obj: Plan, form: "ModelForm[Plan]", change: bool
    ) -> None:
        rises = False
        if change and "overflow_surcharge" in form.changed_data:
            before = Plan.objects.select_for_update().get(pk=obj.pk)
            rises = surcharges.raised(obj, before, timezone.now())
        super().save_model(request, obj, form, change)
        if rises:
            told = {"n": surcharges.tell(obj), "holds": self.surcharge_binding(obj)}
            self.message_user(
                request, gettext("%(holds)s. %(n)d customers are told.") % told, messages.WARNING
            )

    def apply(self, sold: Plan) -> None:
        terms.apply_plan(sold)

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> list[str]:
        locked = ["active"] if obj is not None and obj.is_default else []
        return [*self.readonly_fields, *locked]

    @admin.action(
        description=_("Make it what an account without a subscription is on"),
        permissions=["change"],
    )
    def make_default(self, request: HttpRequest, queryset: QuerySet[Plan]) -> None:
        if queryset.count() != 1:
            self.message_user(request, gettext("Choose exactly one plan."), messages.ERROR)
            return
        plan = queryset.get()
        with transaction.atomic():
            before = Plan.objects.get(is_default=True).slug
            terms.make_default(plan)
            audit_deed(
                request,
                "make default",
                _subject(plan),
                before={"plan": before},
                after={"plan": plan.slug},
            )
        self.message_user(request, gettext("%(plan)s is the default now.") % {"plan": plan})


@admin.register(AddOn)
class AddOnAdmin(SoldAdmin):
    list_display = ["name", "monthly_price", "multiplier", "active"]
    readonly_fields = ["binding"]

    def apply(self, sold: AddOn) -> None:
        terms.apply_add_on(sold)


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    list_display = ["user", "plan", "add_on", "status", "payment_method", "period_end"]
    list_filter = ["status", "plan", "add_on", "payment_method"]
    list_select_related = ["user", "plan", "add_on"]
    search_fields = ["user__email", "stripe_id"]
    exclude = ["plan_price", "add_on_price", "next_plan_price", "next_add_on_price"]
    readonly_fields = ["shown_plan_price", "shown_add_on_price"]
    ordering = ["-id"]
    actions = ["cancel", "resume", "end_now"]

    @admin.display(description=_("plan's price this period"))
    def shown_plan_price(self, subscription: Subscription) -> str:
        return f"${dollars(subscription.plan_price)}"

    @admin.display(description=_("add-on's price this period"))
    def shown_add_on_price(self, subscription: Subscription) -> str:
        return f"${dollars(subscription.add_on_price)}"

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.manage_subscription")

    @admin.action(description=_("Cancel at the end of the period"), permissions=["manage"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        self._each(request, queryset, changes.cancel)

    @admin.action(description=_("Resume: renew as it is"), permissions=["manage"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        self._each(request, queryset, changes.resume)

    @admin.action(description=_("End now, and credit what is unused"), permissions=["manage"])
    def end_now(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> Any:
        """Nobody can undo it: asks why first."""
        sent = request.POST if "reason" in request.POST else None
        form = deeds.AllEndForm(sent, initial={"action": "end_now"})
        chosen = list(queryset.filter(status__in=Subscription.LIVE).select_related("user"))
        if form.is_valid() or not chosen:
            reason = form.cleaned_data["reason"] if chosen else ""
            self._each(request, queryset, changes.end_now, reason)
            return None
        context = {**self.admin_site.each_context(request), "opts": self.model._meta}
        context |= {
            "form": form,
            "title": gettext("End %(count)d plans now") % {"count": len(chosen)},
            "button": gettext("End now"),
        }
        return render(request, "admin/billing/customer/ask.html", context | {"chosen": chosen})

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Subscription],
        change: Callable[..., Subscription],
        reason: str = "",
    ) -> None:
        """One customer's refusal is told, and is not the others'."""
        live = queryset.filter(status__in=Subscription.LIVE).select_related("user")
        for mine in live:
            try:
                deeds.change_plan(request, mine.user_id, change, reason)
            except errors.ApiError as refused:
                self.message_user(request, f"{mine}: {to_staff(refused)}", messages.ERROR)
            else:
                self.message_user(request, gettext("%(what)s: done.") % {"what": mine})
        if not live:
            self.message_user(request, gettext("None of these is live."), messages.WARNING)


@admin.register(ResetPass)
class ResetPassAdmin(ReadOnlyAdmin):
    list_display = ["reset_at", "user", "plan", "shown_price", "period_start"]
    list_filter = ["reset_at", "plan"]
    list_select_related = ["user", "plan"]
    search_fields = ["user__email"]
    fields = ["user", "subscription", "plan", "period_start", "reset_at", "shown_price"]
    fields += ["transfer"]
    readonly_fields = ["shown_price"]
    ordering = ["-id"]

    @admin.display(description=_("price"), ordering="price")
    def shown_price(self, bought: ResetPass) -> str:
        return f"${dollars(bought.price)}"


@admin.register(PriceNotice)
class PriceNoticeAdmin(ReadOnlyAdmin):
    list_display = ["told_at", "subscription", "plan", "add_on", "shown_price", "binds_at"]
    list_filter = ["told_at", "plan", "add_on"]
    list_select_related = ["subscription__user", "subscription__plan", "plan", "add_on"]
    search_fields = ["subscription__user__email"]
    fields = ["subscription", "plan", "add_on", "shown_price", "told_at", "binds_at"]
    readonly_fields = ["shown_price"]
    ordering = ["-id"]

    @admin.display(description=_("a month"), ordering="price")
    def shown_price(self, notice: PriceNotice) -> str:
        return f"${dollars(notice.price)}"
