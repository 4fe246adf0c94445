"""Staff's view of billing: what is sold can be edited, the books can only be read.

What staff change takes effect at once for everybody it concerns, and is audited.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from unfold.admin import ModelAdmin

from billing import changes, offers, prices, terms
from billing.customers import admin as customers  # noqa: F401  registers
from billing.invoice_api import link
from billing.mails import admin as mails  # noqa: F401
from billing.models import (
    AddOn,
    AuditEntry,
    Entry,
    Invoice,
    InvoiceSeries,
    LedgerAccount,
    Notice,
    Plan,
    PriceNotice,
    Subscription,
    Transfer,
    Wallet,
)
from billing.rewards import admin as rewards  # noqa: F401
from billing.staff import DOLLARS, ReadOnlyAdmin, audit_deed, email_of
from hontoni import errors
from hontoni.drf import request_id
from hontoni.money import dollars


def _subject(sold: Plan | AddOn) -> str:
    return f"{sold._meta.model_name}:{sold.slug}"


class SoldAdmin(ModelAdmin):
    """Plans and add-ons. They are never deleted: deactivate instead."""

    audits_itself = True
    formfield_overrides = DOLLARS
    list_filter = ["active"]
    search_fields = ["slug", "name"]

    @admin.display(description="whom the price binds, and from when")
    def binding(self, sold: Plan | AddOn) -> str:
        return prices.binding(sold)

    @admin.display(description="a month", ordering="price")
    def monthly_price(self, sold: Plan | AddOn) -> str:
        return f"${dollars(sold.price)}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: Any, form: "ModelForm[Any]", change: bool
    ) -> None:
        changed = form.changed_data
        before = type(obj).objects.filter(pk=obj.pk).values(*changed).first() if change else None
        super().save_model(request, obj, form, change)
        if change and not changed:
            return
        audit_deed(
            request,
            "change" if change else "add",
            _subject(obj),
            before=before or {},
            after={name: getattr(obj, name) for name in changed},
        )
        if change:
            self.apply(obj)
        if change and "price" in changed:
            self.message_user(
                request, f"${dollars(obj.price)} binds: {prices.binding(obj)}", messages.WARNING
            )

    def apply(self, sold: Any) -> None:
        """Let it take effect for everybody who has it."""
        raise NotImplementedError

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Whoever edits prices comes by here, before and after."""
        if request.method == "GET":
            for warning in offers.dominated():
                self.message_user(request, warning, messages.WARNING)
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response


@admin.register(Plan)
class PlanAdmin(SoldAdmin):
    list_display = ["name", "monthly_price", *Plan.LIMITS, "key_cap", "active", "is_default"]
    readonly_fields = ["is_default", "binding"]
    actions = ["make_default"]

    def apply(self, sold: Plan) -> None:
        terms.apply_plan(sold)

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> list[str]:
        locked = ["active"] if obj is not None and obj.is_default else []
        return [*self.readonly_fields, *locked]

    @admin.action(description="Make it what an account without a subscription is on")
    def make_default(self, request: HttpRequest, queryset: QuerySet[Plan]) -> None:
        if queryset.count() != 1:
            self.message_user(request, "Choose exactly one plan.", messages.ERROR)
            return
        plan = queryset.get()
        with transaction.atomic():
            before = Plan.objects.get(is_default=True).slug
            plan.make_default()
            audit_deed(
                request,
                "make default",
                _subject(plan),
                before={"plan": before},
                after={"plan": plan.slug},
            )
            terms.apply_plan(plan)
        self.message_user(request, f"{plan} is the default now.")


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

    @admin.display(description="plan's price this period")
    def shown_plan_price(self, subscription: Subscription) -> str:
        return f"${dollars(subscription.plan_price)}"

    @admin.display(description="add-on's price this period")
    def shown_add_on_price(self, subscription: Subscription) -> str:
        return f"${dollars(subscription.add_on_price)}"

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.manage_subscription")

    @admin.action(description="Cancel at the end of the period", permissions=["manage"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        self._each(request, queryset, changes.cancel)

    @admin.action(description="Resume: renew as it is", permissions=["manage"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        self._each(request, queryset, changes.resume)

    @admin.action(description="End now, and credit what is unused", permissions=["manage"])
    def end_now(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        self._each(request, queryset, changes.end_now)

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Subscription],
        change: Callable[..., Subscription],
    ) -> None:
        """One customer's refusal is told, and is not the others'."""
        live = queryset.filter(status__in=Subscription.LIVE).select_related("user")
        for mine in live:
            try:
                change(
                    mine.user_id,
                    now=timezone.now(),
                    actor=email_of(request),
                    request_id=request_id(request),
                )
            except errors.ApiError as refused:
                self.message_user(request, f"{mine}: {refused.message}", messages.ERROR)
            else:
                self.message_user(request, f"{mine}: done.")
        if not live:
            self.message_user(request, "None of these is live.", messages.WARNING)


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    list_display = ["number", "kind", "user", "issued_at", "shown_total"]
    list_filter = ["kind", "issued_at"]
    list_select_related = ["user"]
    search_fields = ["number", "user__email", "sha256"]
    fields = [
        "number", "kind", "user", "subscription", "transfer", "cause", "issued_at", "paid_at",
        "paid_by", "shown_lines", "shown_net", "shown_tax", "shown_total", "note", "seller",
        "buyer", "credits", "sha256", "shown_pdf",
    ]  # fmt: skip
    readonly_fields = ["shown_total", "shown_net", "shown_tax", "shown_lines", "shown_pdf"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        found: QuerySet[Invoice] = super().get_queryset(request).defer("pdf")
        return found

    @admin.display(description="total", ordering="total")
    def shown_total(self, invoice: Invoice) -> str:
        return f"${dollars(invoice.total)}"

    @admin.display(description="net")
    def shown_net(self, invoice: Invoice) -> str:
        return f"${dollars(invoice.net)}"

    @admin.display(description="tax")
    def shown_tax(self, invoice: Invoice) -> str:
        return f"{invoice.tax_name} ${dollars(invoice.tax)}".strip()

    @admin.display(description="lines")
    def shown_lines(self, invoice: Invoice) -> str:
        rows = ((line["text"], dollars(line["amount"])) for line in invoice.lines)
        return format_html_join("", "<div>{}: ${}</div>", rows)

    @admin.display(description="PDF")
    def shown_pdf(self, invoice: Invoice) -> str:
        return format_html('<a href="{}">{}.pdf</a>', link(invoice), invoice.number)


@admin.register(InvoiceSeries)
class InvoiceSeriesAdmin(ReadOnlyAdmin):
    list_display = ["name", "last"]
    search_fields = ["name"]


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "user", "kind"]
    list_filter = ["kind", "created_at"]
    list_select_related = ["user"]
    search_fields = ["user__email", "key"]
    ordering = ["-id"]
    show_full_result_count = False


@admin.register(PriceNotice)
class PriceNoticeAdmin(ReadOnlyAdmin):
    list_display = ["told_at", "subscription", "plan", "add_on", "shown_price", "binds_at"]
    list_filter = ["told_at", "plan", "add_on"]
    list_select_related = ["subscription__user", "subscription__plan", "plan", "add_on"]
    search_fields = ["subscription__user__email"]
    fields = ["subscription", "plan", "add_on", "shown_price", "told_at", "binds_at"]
    readonly_fields = ["shown_price"]
    ordering = ["-id"]

    @admin.display(description="a month", ordering="price")
    def shown_price(self, notice: PriceNotice) -> str:
        return f"${dollars(notice.price)}"


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    list_display = ["user", "shown_balance", "shown_credits", "shown_usage"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    fields = ["user", "shown_balance", "shown_credits", "shown_usage", "credits_version"]
    readonly_fields = ["shown_balance", "shown_credits", "shown_usage"]
    ordering = ["-pk"]

    @admin.display(description="balance")
    def shown_balance(self, wallet: Wallet) -> str:
        return f"${dollars(wallet.balance)}"

    @admin.display(description="credits", ordering="credits_total")
    def shown_credits(self, wallet: Wallet) -> str:
        return f"${dollars(wallet.credits_total)}"

    @admin.display(description="settled usage", ordering="settled_total")
    def shown_usage(self, wallet: Wallet) -> str:
        return f"${dollars(wallet.settled_total)}"


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin):
    list_display = ["code", "shown_balance", "version", "may_go_negative"]
    search_fields = ["code"]
    fields = ["code", "shown_balance", "version", "may_go_negative"]
    readonly_fields = ["shown_balance"]

    @admin.display(description="balance", ordering="balance")
    def shown_balance(self, account: LedgerAccount) -> str:
        return f"${dollars(account.balance)}"


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    list_display = ["id", "created_at", "kind", "shown_amount", "debit", "credit", "actor"]
    list_filter = ["kind", "created_at"]
    list_select_related = ["debit", "credit"]
    search_fields = ["key", "debit__code", "credit__code", "actor", "reason"]
    fields = [
        "key", "kind", "shown_amount", "debit", "credit", "ref", "actor", "reason", "created_at",
    ]  # fmt: skip
    readonly_fields = ["shown_amount"]
    ordering = ["-id"]
    show_full_result_count = False

    @admin.display(description="amount", ordering="amount")
    def shown_amount(self, transfer: Transfer) -> str:
        return f"${dollars(transfer.amount)}"


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ["account", "account_version", "shown_amount", "shown_balance", "transfer"]
    list_select_related = ["account", "transfer"]
    search_fields = ["account__code", "transfer__key"]
    fields = ["transfer", "account", "account_version", "shown_amount", "shown_balance"]
    readonly_fields = ["shown_amount", "shown_balance"]
    ordering = ["-id"]
    show_full_result_count = False

    @admin.display(description="amount", ordering="amount")
    def shown_amount(self, entry: Entry) -> str:
        return f"${dollars(entry.amount)}"

    @admin.display(description="balance after", ordering="balance_after")
    def shown_balance(self, entry: Entry) -> str:
        return f"${dollars(entry.balance_after)}"


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "actor", "action", "subject"]
    list_filter = ["action", "at"]
    search_fields = ["actor", "subject", "request_id"]
    ordering = ["-id"]
