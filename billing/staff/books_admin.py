"""Staff read the books: wallets, transfers, invoices, and the log of what staff did."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.books import archived
from billing.books.audit_actions import ACTIONS
from billing.books.models import AuditEntry, Entry, LedgerAccount, Transfer, Wallet
from billing.invoices.links import link
from billing.invoices.models import Invoice, InvoiceSeries
from billing.staff.archived_lists import ENTRIES, ArchivedList
from billing.staff.audited import ReadOnlyAdmin
from hontoni.money import dollars


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    list_display = ["user", "shown_balance", "shown_credits", "shown_usage"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    fields = ["user", "shown_balance", "shown_credits", "shown_usage", "credits_version"]
    readonly_fields = ["shown_balance", "shown_credits", "shown_usage"]
    ordering = ["-pk"]

    @admin.display(description=_("balance"))
    def shown_balance(self, wallet: Wallet) -> str:
        return f"${dollars(wallet.balance)}"

    @admin.display(description=_("credits"), ordering="credits_total")
    def shown_credits(self, wallet: Wallet) -> str:
        return f"${dollars(wallet.credits_total)}"

    @admin.display(description=_("settled usage"), ordering="settled_total")
    def shown_usage(self, wallet: Wallet) -> str:
        return f"${dollars(wallet.settled_total)}"


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin):
    list_display = ["code", "shown_balance", "version", "may_go_negative"]
    search_fields = ["code"]
    fields = ["code", "shown_balance", "version", "may_go_negative"]
    readonly_fields = ["shown_balance"]

    @admin.display(description=_("balance"), ordering="balance")
    def shown_balance(self, account: LedgerAccount) -> str:
        return f"${dollars(account.balance)}"


@admin.register(Transfer)
class TransferAdmin(ArchivedList, ReadOnlyAdmin):
    keyset = True
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

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Transfer | None:
        """Charges out of the archive, too."""
        found: Transfer | None = super().get_object(request, object_id, from_field)
        if found is None and object_id.isdecimal() and len(object_id) <= 18:
            found = archived.charge(int(object_id))
        return found

    @admin.display(description=_("amount"), ordering="amount")
    def shown_amount(self, transfer: Transfer) -> str:
        return f"${dollars(transfer.amount)}"


@admin.register(Entry)
class EntryAdmin(ArchivedList, ReadOnlyAdmin):
    elsewhere = ENTRIES
    keyset = True
    list_display = ["account", "account_version", "shown_amount", "shown_balance", "transfer"]
    list_filter = ["transfer__created_at"]
    list_select_related = ["account", "transfer"]
    search_fields = ["account__code", "transfer__key"]
    fields = ["transfer", "account", "account_version", "shown_amount", "shown_balance"]
    readonly_fields = ["shown_amount", "shown_balance"]
    ordering = ["-id"]
    show_full_result_count = False

    @admin.display(description=_("amount"), ordering="amount")
    def shown_amount(self, entry: Entry) -> str:
        return f"${dollars(entry.amount)}"

    @admin.display(description=_("balance after"), ordering="balance_after")
    def shown_balance(self, entry: Entry) -> str:
        return f"${dollars(entry.balance_after)}"


class DeedFilter(admin.SimpleListFilter):
    """Those that are known: the table is too large to be asked which it has."""

    title, parameter_name = _("action"), "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return sorted(((name, gettext(name)) for name in ACTIONS), key=lambda each: each[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    keyset = True
    list_display = ["at", "actor", "deed", "subject"]
    fields = [
        *("at", "actor", "deed", "subject", "before", "after", "request_id"),
    ]
    readonly_fields = ["deed"]
    list_filter = [DeedFilter, "at"]
    search_fields = ["actor", "subject", "request_id"]
    ordering = ["-id"]

    @admin.display(description=_("action"), ordering="action")
    def deed(self, entry: AuditEntry) -> str:
        return gettext(entry.action)


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    keyset = True
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

    @admin.display(description=_("total"), ordering="total")
    def shown_total(self, invoice: Invoice) -> str:
        return f"${dollars(invoice.total)}"

    @admin.display(description=_("net"))
    def shown_net(self, invoice: Invoice) -> str:
        return f"${dollars(invoice.net)}"

    @admin.display(description=_("tax"))
    def shown_tax(self, invoice: Invoice) -> str:
        return f"{invoice.tax_name} ${dollars(invoice.tax)}".strip()

    @admin.display(description=_("lines"))
    def shown_lines(self, invoice: Invoice) -> str:
        rows = ((line["text"], dollars(line["amount"])) for line in invoice.lines)
        return format_html_join("", "<div>{}: ${}</div>", rows)

    @admin.display(description=_("PDF"))
    def shown_pdf(self, invoice: Invoice) -> str:
        return format_html('<a href="{}">{}.pdf</a>', link(invoice), invoice.number)


@admin.register(InvoiceSeries)
class InvoiceSeriesAdmin(ReadOnlyAdmin):
    list_display = ["name", "last"]
    search_fields = ["name"]
