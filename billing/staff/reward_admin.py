"""Staff make promo codes, set what referrals earn, and decide about suspicious ones."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.rewards import promos, referrals
from billing.rewards.models import PromoCode, Redemption, Referral, ReferralProgram
from billing.staff.audited import ReadOnlyAdmin, audit_deed
from billing.staff.dollars import DOLLARS
from billing.staff.price_changes import MoneyAdmin
from hontoni.money import dollars


class GivenAdmin(MoneyAdmin):
    """What staff promise: every edit is audited with what it was before."""

    formfield_overrides = DOLLARS

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(PromoCode)
class PromoCodeAdmin(GivenAdmin):
    list_display = ["code", "gives", "uses", "max_uses", "valid_from", "valid_until", "active"]
    list_filter = ["kind", "active", "valid_until"]
    search_fields = ["code", "note"]
    ordering = ["-id"]
    readonly_fields = ["uses", "created_at"]

    @admin.display(description=_("gives"))
    def gives(self, code: PromoCode) -> str:
        return promos.describe(code)

    def get_readonly_fields(self, request: HttpRequest, obj: PromoCode | None = None) -> list[str]:
        # What was promised to those who redeemed it stays as it was.
        promised = ["code", "kind", "amount", "percent", "plan", "trial_days", "minimum_top_up"]
        return [*self.readonly_fields, *(promised if obj and obj.uses else [])]


@admin.register(Redemption)
class RedemptionAdmin(ReadOnlyAdmin):
    list_display = ["code", "user", "created_at", "granted_at", "shown"]
    list_filter = ["code", "granted_at"]
    list_select_related = ["code", "user"]
    search_fields = ["code__code", "user__email"]
    ordering = ["-id"]

    @admin.display(description=_("granted"), ordering="granted")
    def shown(self, redemption: Redemption) -> str:
        return f"${dollars(redemption.granted)}"


@admin.register(ReferralProgram)
class ReferralProgramAdmin(GivenAdmin):
    list_display = ["percent", "basis", "hold_days", "active"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not ReferralProgram.objects.exists() and super().has_add_permission(request)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """There is one, so nothing to add after it."""
        only = {**(extra_context or {}), "show_save_and_add_another": False}
        page: HttpResponse = super().add_view(request, form_url, only)
        return page


@admin.register(Referral)
class ReferralAdmin(ReadOnlyAdmin):
    """The queue: those under review come first."""

    list_display = ["invitee", "referrer", "status", "signals", "pending", "earned", "created_at"]
    list_filter = ["status", "created_at"]
    list_select_related = ["invitee", "referrer"]
    search_fields = ["invitee__email", "referrer__email"]
    ordering = ["-status", "-id"]
    actions = ["approve", "reject"]

    @admin.display(description=_("pending"))
    def pending(self, referral: Referral) -> str:
        return f"${dollars(max(referral.accrued - referral.paid, 0))}"

    @admin.display(description=_("earned"), ordering="paid")
    def earned(self, referral: Referral) -> str:
        return f"${dollars(referral.paid)}"

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_referral")

    @admin.action(description=_("Approve: it earns"), permissions=["review"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Referral]) -> None:
        self._decide(request, queryset, approve=True)

    @admin.action(description=_("Reject: it earns nothing"), permissions=["review"])
    def reject(self, request: HttpRequest, queryset: QuerySet[Referral]) -> None:
        self._decide(request, queryset, approve=False)

    def _decide(
        self, request: HttpRequest, queryset: QuerySet[Referral], *, approve: bool
    ) -> None:
        verb = "approve" if approve else "reject"
        for referral in queryset:
            with transaction.atomic():
                before = {"status": referral.status, "signals": referral.signals}
                referrals.review(referral.pk, approve=approve)
                subject = f"referral:{referral.pk}"
                audit_deed(request, verb, subject, before=before, after={"decision": verb})
        self.message_user(request, gettext("Decided."))
