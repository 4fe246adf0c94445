"""Staff's view of payments: orders, the inbox with replay, what waits for a person."""

from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from billing.payments import inbox, refunds
from billing.payments.models import AutoTopUp, Dispute, Payout, TopUp
from billing.staff.audited import ReadOnlyAdmin, audit_deed, email_of
from billing.staff.card_refunds import RefundForm, refund_to_card
from billing.staff.deeds import DeedAdmin
from billing.stripe import mirror
from billing.stripe.models import Quarantine, StripeCustomer, StripeEvent
from billing.subscriptions.models import PlanOrder
from hontoni import errors
from hontoni.money import CENT, dollars


@admin.register(TopUp)
class TopUpAdmin(DeedAdmin):
    list_display = ["created_at", "user", "route", "state", "shown_amount", "failure"]
    list_filter = ["state", "route", "created_at"]
    list_select_related = ["user"]
    search_fields = ["user__email", "id", "session_id", "intent_id"]
    exclude = ["amount"]
    readonly_fields = ["shown_amount"]
    show_full_result_count = False
    actions_detail = ["refund"]

    @admin.display(description=_("amount"), ordering="amount")
    def shown_amount(self, order: TopUp) -> str:
        return f"${dollars(order.amount)}"

    def has_refund_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not request.user.has_perm("payments.refund_topup"):
            return False
        return object_id is None or TopUp.objects.filter(pk=object_id, state="paid").exists()

    @action(description=_("Refund"), url_path="refund", permissions=["refund"])
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method == "POST":
            form = RefundForm(request.POST)
        else:
            order = TopUp.objects.filter(pk=object_id).first()
            try:
                most = refunds.left(refunds.of_top_up(order)) if order else 0
            except errors.ApiError:  # Stripe is away: its answer decides when the form is sent
                most = order.charged_cents if order else 0
            form = RefundForm(initial={"amount": most * CENT})
        return self.ask(request, object_id, gettext("Refund"), form, _refund, at_once=False)


def _refund(request: HttpRequest, order: TopUp, data: dict[str, Any]) -> str:
    return refund_to_card(request, refunds.of_top_up(order), data)


@admin.register(PlanOrder)
class PlanOrderAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "user", "plan", "add_on", "state", "failure"]
    list_filter = ["state", "created_at"]
    list_select_related = ["user", "plan", "add_on"]
    search_fields = ["user__email", "id", "session_id", "invoice_id", "subscription__stripe_id"]
    show_full_result_count = False


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    list_display = [
        "received_at",
        "type",
        "object_id",
        "source",
        "handled_at",
        "mirrored_at",
        "attempts",
        "error",
    ]
    list_filter = [("handled_at", admin.EmptyFieldListFilter), "type", "source", "received_at"]
    search_fields = ["id", "object_id"]
    ordering = ["-received_at"]
    show_full_result_count = False
    actions = ["replay"]

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.replay_stripeevent")

    @admin.action(description=_("Handle again"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> None:
        failed = [event.pk for event in queryset if not self._replay(request, event)]
        if failed:
            self.message_user(
                request,
                gettext("Failed again: %(what)s") % {"what": ", ".join(failed)},
                messages.ERROR,
            )
        else:
            self.message_user(request, gettext("Handled."))

    def _replay(self, request: HttpRequest, event: StripeEvent) -> bool:
        before = {"handled_at": str(event.handled_at or ""), "error": event.error}
        done = inbox.replay(event)
        after = {"type": event.type, "handled": done}
        audit_deed(request, "replay", f"stripe_event:{event.pk}", before=before, after=after)
        return done


@admin.register(Quarantine)
class QuarantineAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "subject", "problem", "topup", "resolved_at", "resolved_by"]
    list_filter = [("resolved_at", admin.EmptyFieldListFilter), "problem"]
    list_select_related = ["topup__user"]
    search_fields = ["subject", "topup__user__email"]
    ordering = ["-created_at"]
    actions = ["resolve"]

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.resolve_quarantine")

    @admin.action(description=_("Mark as dealt with"), permissions=["resolve"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[Quarantine]) -> None:
        """Money is moved by an adjustment or a refund; this only clears the list."""
        with transaction.atomic():
            resolved = Quarantine.resolve(queryset, email_of(request), timezone.now())
            for found in resolved:
                before = {"subject": found.subject, "resolved": False}
                after = {"subject": found.subject, "resolved": True}
                subject = f"quarantine:{found.pk}"
                audit_deed(request, "resolve", subject, before=before, after=after)
        self.message_user(request, gettext("%(count)d dealt with.") % {"count": len(resolved)})


@admin.register(Dispute)
class DisputeAdmin(DeedAdmin):
    """Those that want an answer first, by when it is due."""

    list_display = ["id", "whose", "shown_amount", "reason", "status", "due", "answered_at"]
    list_filter = ["status", "reason", "due_at", "opened_at", "withdrawn", "reinstated"]
    list_select_related = ["topup__user", "user"]
    search_fields = ["id", "intent_id", "topup__user__email", "user__email"]
    ordering = [F("due_at").desc(nulls_last=True), "-updated_at"]
    fields = [
        *("id", "whose", "topup", "intent_id", "shown_amount", "shown_balance", "reason"),
        *("status", "opened_at", "due", "withdrawn", "reinstated", "answered_at", "answered_by"),
        "shown_evidence",
    ]
    readonly_fields = ["whose", "shown_amount", "shown_balance", "due", "shown_evidence"]

    @admin.display(description=_("customer"))
    def whose(self, dispute: Dispute) -> str:
        return str(dispute.whose or "")

    @admin.display(description=_("amount"), ordering="cents")
    def shown_amount(self, dispute: Dispute) -> str:
        return f"${dollars(dispute.cents * CENT if dispute.cents else dispute.amount)}"

    @admin.display(description=_("of balance"))
    def shown_balance(self, dispute: Dispute) -> str:
        return f"${dollars(dispute.amount)}"

    @admin.display(description=_("answer due"), ordering="due_at")
    def due(self, dispute: Dispute) -> str:
        """How long there is, where an answer is wanted."""
        if dispute.due_at is None or dispute.status not in Dispute.ANSWERABLE:
            return ""
        at = timezone.localtime(dispute.due_at)
        left = (dispute.due_at - timezone.now()).days
        return f"{at:%Y-%m-%d %H:%M %Z}, " + (
            gettext("in %(days)d days") % {"days": left} if left >= 0 else gettext("past due")
        )

    @admin.display(description=_("evidence handed in"))
    def shown_evidence(self, dispute: Dispute) -> str:
        return format_html_join("", "<h3>{}</h3><pre>{}</pre>", dispute.evidence.items())


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    """What Stripe sent to the bank, and what of our books it is made of."""

    list_display = ["id", "arrives_on", "status", "shown_amount", "shown_fees", "is_explained"]
    list_filter = ["status", "arrives_on", "made_at"]
    search_fields = ["id", "lines__id", "lines__source"]
    fields = [
        *("id", "status", "made_at", "arrives_on", "shown_amount", "shown_gross", "shown_fees"),
        *("unmatched", "reconciled_at", "shown_lines"),
    ]
    readonly_fields = ["shown_amount", "shown_gross", "shown_fees", "shown_lines"]
    ordering = ["-made_at"]

    @admin.display(description=_("paid out"), ordering="amount")
    def shown_amount(self, payout: Payout) -> str:
        return f"${dollars(payout.amount * CENT)}"

    @admin.display(description=_("before fees"), ordering="gross")
    def shown_gross(self, payout: Payout) -> str:
        return f"${dollars(payout.gross * CENT)}"

    @admin.display(description=_("Stripe's fees"), ordering="fees")
    def shown_fees(self, payout: Payout) -> str:
        return f"${dollars(payout.fees * CENT)}"

    @admin.display(description=_("reconciled"), boolean=True)
    def is_explained(self, payout: Payout) -> bool:
        return payout.reconciled_at is not None and not payout.unmatched

    @admin.display(description=_("made of"))
    def shown_lines(self, payout: Payout) -> str:
        row = '<tr><td>{}</td><td class="px-3">{}</td><td class="px-3">${}</td><td>${}</td>'
        row += '<td class="px-3">{}</td></tr>'
        lines = (
            (
                *(line.pk, line.category, dollars(line.gross * CENT), dollars(line.fee * CENT)),
                line.problem or line.booked_as,
            )
            for line in payout.lines.all()
        )
        return format_html("<table>{}</table>", format_html_join("", row, lines))


@admin.register(AutoTopUp)
class AutoTopUpAdmin(ReadOnlyAdmin):
    list_display = ["user", "enabled", "failures", "last_failure", "retry_at"]
    list_filter = ["enabled"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    ordering = ["user"]


@admin.register(StripeCustomer)
class StripeCustomerAdmin(ReadOnlyAdmin):
    list_display = ["user", "stripe_id", "created_at"]
    list_select_related = ["user"]
    search_fields = ["user__email", "stripe_id"]
    ordering = ["-created_at"]


class MirrorAdmin(ReadOnlyAdmin):
    """Stripe's objects as it told us last, for whoever may see its events."""

    list_display = ["id", "created", "djstripe_updated"]
    search_fields = ["id"]
    fields = ["id", "created", "djstripe_updated", "stripe_data"]
    ordering = ["-created"]
    show_full_result_count = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("payments.view_stripeevent")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


# dj-stripe's own pages call Stripe, and show secrets.
for model in apps.get_app_config("djstripe").get_models():
    if admin.site.is_registered(model):
        admin.site.unregister(model)
admin.site.register(mirror.models().values(), MirrorAdmin)
