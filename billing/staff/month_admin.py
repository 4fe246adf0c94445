"""Months of the books: closed with a signed statement, exported for accountants; who is behind.

The money desk is the page of what is to be done about money: failed payments, plans in grace,
payouts that nothing explains.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max, Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget

from billing.books import archived
from billing.books.models import ClosedMonth, Transfer
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.payments import closing, exports
from billing.payments.models import AutoTopUp, Payout, TopUp
from billing.payments.vietqr import proof
from billing.plans.models import Subscription
from billing.staff.audited import ReadOnlyAdmin, audit_deed, email_of
from hontoni import errors, months
from hontoni.drf import request_id
from hontoni.money import dollars
from hontoni.translated_errors import to_staff

DAYS = 30
CHUNK = 500  # lines that are sent at once


class ExportForm(forms.Form):
    export = forms.ChoiceField(
        label=_("What"),
        choices=[(name, _(each.title)) for name, each in exports.EXPORTS.items()],
        widget=UnfoldAdminSelectWidget,
    )
    first = forms.DateField(label=_("From (UTC)"), widget=UnfoldAdminDateWidget)
    last = forms.DateField(label=_("To, included (UTC)"), widget=UnfoldAdminDateWidget)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if {"first", "last"} <= cleaned.keys() and cleaned["last"] < cleaned["first"]:
            self.add_error("last", gettext("The period ends before it begins."))
        return cleaned


class CloseForm(forms.Form):
    confirmed = forms.BooleanField(label=_("Yes: nothing is booked into it any more, by anybody."))


@admin.register(ClosedMonth)
class ClosedMonthAdmin(ReadOnlyAdmin):
    list_display = ["month", "closed_at", "closed_by", "shown_owed"]
    list_filter = ["month"]
    fields = [
        *("month", "closed_at", "closed_by", "shown_accounts", "shown_invoices"),
        *("shown_digest", "public_key", "signature", "statement"),
    ]
    readonly_fields = ["shown_accounts", "shown_invoices", "shown_digest"]
    actions_list = ["desk", "close", "export"]

    @admin.display(description=_("owed to customers at its end"))
    def shown_owed(self, closed: ClosedMonth) -> str:
        wallets = closing.contents(closed)["accounts"].get(closing.WALLETS, {})
        return f"${dollars(wallets.get('closing', 0))}"

    @admin.display(description=_("accounts"))
    def shown_accounts(self, closed: ClosedMonth) -> str:
        accounts = closing.contents(closed)["accounts"].items()
        row = '<tr><td>{}</td><td class="px-3">${}</td><td class="px-3">{}</td><td>${}</td></tr>'
        rows = (
            (
                *(name, dollars(each["opening"])),
                ", ".join(
                    f"{_kind(kind)} ${dollars(sum_)}" for kind, sum_ in each["moved"].items()
                ),
                dollars(each["closing"]),
            )
            for name, each in accounts
        )
        return format_html("<table>{}</table>", format_html_join("", row, rows))

    @admin.display(description=_("invoices"))
    def shown_invoices(self, closed: ClosedMonth) -> str:
        found = closing.contents(closed)["invoices"].items()
        row = format_html("<div>{{}}: {}</div>", gettext("{} of ${}, of that ${} tax"))
        rows = ((_kind(k), e["count"], dollars(e["total"]), dollars(e["tax"])) for k, e in found)
        return format_html_join("", row, rows)

    @admin.display(description=_("digest"))
    def shown_digest(self, closed: ClosedMonth) -> str:
        return closing.digest(closed)

    # -- Closing ---------------------------------------------------------------------------------

    def has_close_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.close_month")

    @action(description=_("Close a month"), url_path="close", permissions=["close"])
    def close(self, request: HttpRequest) -> HttpResponse:
        month, form = closing.next_month(timezone.now()), CloseForm(request.POST or None)
        if month is None:
            self.message_user(
                request, gettext("No month is over that is still open."), messages.WARNING
            )
            return redirect("admin:billing_closedmonth_changelist")
        if request.method == "POST" and form.is_valid():
            try:
                closed = closing.close(
                    month,
                    actor=email_of(request),
                    now=timezone.now(),
                    request_id=request_id(request),
                )
            except errors.ApiError as error:
                form.add_error(None, to_staff(error))
            else:
                self.message_user(
                    request,
                    gettext("%(month)s is closed and signed.") % {"month": closed},
                    messages.SUCCESS,
                )
                return redirect(reverse("admin:billing_closedmonth_change", args=[closed.pk]))
        return self._form(
            request,
            gettext("Close %(month)s") % {"month": months.name(month)},
            form,
            gettext("Close it for good"),
        )

    def _form(
        self, request: HttpRequest, title: str, form: forms.Form, button: str
    ) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.model._meta}
        context |= {"form": form, "title": title, "button": button}
        return render(request, "admin/billing/customer/ask.html", context)

    # -- Exports ---------------------------------------------------------------------------------

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.export_books")

    @action(description=_("Export as CSV"), url_path="export", permissions=["export"])
    def export(self, request: HttpRequest) -> Any:
        before = timezone.now().date().replace(day=1) - timedelta(days=1)
        initial = {"first": before.replace(day=1), "last": before}
        form = ExportForm(request.POST or None, initial=initial)
        if request.method != "POST" or not form.is_valid():
            return self._form(
                request, gettext("Export for accountants"), form, gettext("Download")
            )
        data = form.cleaned_data
        about = {"from": f"{data['first']}", "to": f"{data['last']}"}
        audit_deed(request, "export", f"books:{data['export']}", before={}, after=about)
        return csv_of(data["export"], data["first"], data["last"])

    # -- The desk --------------------------------------------------------------------------------

    def has_desk_permission(self, request: HttpRequest) -> bool:
        return bool(self.has_view_permission(request))

    @action(description=_("Money desk"), url_path="desk", permissions=["desk"])
    def desk(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm("payments.view_topup"):
            raise PermissionDenied
        context = {**self.admin_site.each_context(request), "opts": self.model._meta}
        context |= {"title": gettext("Money desk"), "days": DAYS, **behind()}
        return render(request, "admin/billing/desk.html", context)


def _kind(name: str) -> str:
    """Of a transfer or a document, as it is called."""
    return gettext({**dict(Transfer.Kind.choices), **dict(Invoice.Kind.choices)}.get(name, name))


def csv_of(name: str, first: date, last: date) -> StreamingHttpResponse:
    """The file, as it is read from the books. Raises Unavailable where the archive is needed and
    away."""
    if name == "transfers":
        archived.check(datetime.combine(first, time(), UTC))
    found = exports.lines(exports.EXPORTS[name], first, last)
    response = StreamingHttpResponse(_sent(found), content_type="text/csv; charset=utf-8")
    file = f"hontoni-{name}-{first}-{last}.csv"
    response["Content-Disposition"] = f'attachment; filename="{file}"'
    return response


async def _sent(found: Iterator[str]) -> AsyncIterator[str]:
    while text := await sync_to_async(_chunk)(found):
        yield text


def _chunk(found: Iterator[str]) -> str:
    return "".join(islice(found, CHUNK))


def behind() -> dict[str, Any]:
    """Payments that failed in the last days, and what is done about plans that are not paid."""
    since = timezone.now() - timedelta(days=DAYS)
    failed = TopUp.objects.filter(state=TopUp.State.FAILED, created_at__gte=since)
    reasons = failed.values("failure").annotate(count=Count("pk"), total=Sum("amount"))
    late = Subscription.objects.filter(status=Subscription.Status.PAST_DUE)
    return {
        "reasons": [
            {**row, "total": f"${dollars(row['total'])}"} for row in reasons.order_by("-count")
        ],
        "late": [
            _late(mine) for mine in late.select_related("user", "plan").order_by("period_end")
        ],
        "cards": AutoTopUp.objects.filter(failures__gt=0).select_related("user"),
        "payouts": Payout.objects.filter(unmatched__gt=0),
        "next_month": closing.next_month(timezone.now()),
        "banks": [(gettext(name), sum_) for name, sum_ in proof.sums().items()],
    }


def _late(mine: Subscription) -> dict[str, Any]:
    """A plan in grace: since when, until when, and when its owner was last told."""
    told = Notice.objects.filter(user_id=mine.user_id, kind="plan_renewal_failed")
    return {
        "id": mine.pk,
        "user": mine.user,
        "plan": mine.plan,
        "owed": f"${dollars(mine.plan_price + mine.add_on_price)}",
        "method": mine.get_payment_method_display(),
        "since": mine.past_due_since or mine.period_end,
        "until": mine.grace_until,
        "told": told.aggregate(last=Max("created_at"))["last"],
    }
