"""The sidebar by task, as far as a member of staff may see it, with what waits for a person.

What is plumbing (mirrors, sessions, schedules, the ledger's columns) is in none of its groups: the
list of all tables has it, at the foot of the last one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.models import User
from cockpit import waiting


class Item(NamedTuple):
    """A table's list, or another `page` of it; `waiting` counts what on it waits for somebody."""

    title: str
    icon: str
    model: str  # app.model
    query: str = ""
    waiting: Callable[[], int] | None = None
    page: str = "changelist"
    report: str = ""  # a page of figures in place of the list


_t = gettext_noop
GROUPS: tuple[tuple[str, tuple[Item, ...]], ...] = (
    (
        _t("Customers"),
        (
            Item(_t("Customers"), "group", "billing.customer"),
            Item(_t("Keys"), "key", "accounts.apikey"),
            Item(_t("Access tokens"), "badge", "accounts.personaltoken"),
            Item(_t("Subscriptions"), "autorenew", "billing.subscription"),
            Item(_t("Notes"), "sticky_note_2", "billing.customernote"),
            Item(_t("Mails"), "mail", "billing.mail"),
        ),
    ),
    (
        _t("Money"),
        (
            Item(
                _t("Money desk"),
                "point_of_sale",
                "billing.closedmonth",
                waiting=waiting.unpaid,
                page="desk",
            ),
            Item(_t("Top-ups"), "add_card", "payments.topup"),
            Item(_t("Invoices"), "receipt_long", "billing.invoice"),
            Item(
                _t("Credit requests"),
                "how_to_reg",
                "billing.creditrequest",
                "state__exact=open",
                waiting.credits,
            ),
            Item(_t("Disputes"), "gavel", "payments.dispute", waiting=waiting.disputes),
            Item(_t("Payouts"), "account_balance", "payments.payout"),
            Item(_t("Months"), "event_available", "billing.closedmonth", waiting=waiting.months),
            Item(
                _t("Odd payments"),
                "report",
                "payments.quarantine",
                "resolved_at__isempty=1",
                waiting.odd_payments,
            ),
            Item(_t("Transfers"), "swap_horiz", "billing.transfer"),
            Item(_t("Audit"), "history", "billing.auditentry"),
        ),
    ),
    (
        _t("Usage"),
        (
            Item(_t("Requests"), "bolt", "gateway.usageevent"),
            Item(_t("Batches"), "stacks", "gateway.batch"),
            Item(_t("Refusals"), "block", "gateway.refusal"),
            Item(
                _t("Odd bills"),
                "troubleshoot",
                "gateway.usagequarantine",
                "closed_at__isempty=1",
                waiting.odd_bills,
            ),
            Item(
                _t("Unwritten events"), "sync_problem", "gateway.deadevent", "", waiting.unwritten
            ),
            Item(_t("Corrections"), "price_change", "gateway.correction"),
        ),
    ),
    (
        _t("Catalogue"),
        (
            Item(_t("Models"), "psychology", "gateway.model"),
            Item(_t("Prices"), "sell", "gateway.price"),
            Item(_t("Feature prices"), "price_check", "gateway.featureprice"),
            Item(_t("Customer prices"), "handshake", "gateway.customerprice"),
            Item(_t("Vendor prices"), "payments", "gateway.vendorprice"),
            Item(_t("Fees for own keys"), "toll", "gateway.ownkeyfee"),
            Item(
                _t("Proposals"),
                "lightbulb",
                "gateway.proposal",
                "state__exact=open",
                waiting.proposals,
            ),
            Item(_t("Features"), "tune", "gateway.feature"),
            Item(_t("Left out"), "filter_alt_off", "gateway.leftout", "", waiting.left_out),
            Item(_t("Plans"), "layers", "billing.plan"),
            Item(_t("Add-ons"), "extension", "billing.addon"),
        ),
    ),
    (
        _t("Vendors"),
        (
            Item(_t("Providers"), "dns", "gateway.provider"),
            Item(_t("Credentials"), "vpn_key", "gateway.credential"),
            Item(_t("Customers' own keys"), "key", "gateway.ownkey"),
            Item(_t("Choice and health"), "alt_route", "gateway.routing"),
            Item(_t("Vendors of models"), "route", "gateway.routeterms"),
            Item(_t("Bills"), "request_quote", "gateway.vendorbill"),
            Item(
                _t("Differences"),
                "difference",
                "gateway.vendordifference",
                "gone_at__isempty=1",
                waiting.differences,
            ),
            Item(_t("Reports to fetch"), "cloud_download", "gateway.reportsource"),
            Item(_t("Vendors' names"), "badge", "gateway.vendorname"),
            Item(_t("Mark-ups"), "percent", "gateway.markup"),
            Item(_t("Feature costs"), "construction", "gateway.featurecost"),
            Item(_t("Margin alarms"), "trending_down", "gateway.marginalarm"),
        ),
    ),
    (
        _t("Watch"),
        (
            Item(
                _t("Findings"),
                "notifications",
                "cockpit.finding",
                "state__exact=open",
                waiting.findings,
            ),
            Item(_t("Rules"), "rule", "cockpit.rule"),
        ),
    ),
    (
        _t("Growth"),
        (
            Item(_t("Promo codes"), "local_offer", "billing.promocode"),
            Item(_t("Redemptions"), "redeem", "billing.redemption"),
            Item(
                _t("Referrals"),
                "share",
                "billing.referral",
                "status__exact=review",
                waiting.referrals,
            ),
            Item(_t("Referral terms"), "contract", "billing.referralprogram"),
            Item(_t("Announcements"), "campaign", "billing.announcement"),
            Item(_t("What codes bring"), "filter_alt", "billing.transfer", report="promos"),
            Item(_t("What invitations bring"), "hub", "billing.transfer", report="referrals"),
            Item(_t("Cohorts"), "groups", "billing.transfer", report="cohorts"),
            Item(_t("What plans earn"), "savings", "billing.transfer", report="earnings"),
        ),
    ),
    (
        _t("System"),
        (
            Item(_t("People and staff"), "badge", "accounts.user"),
            Item(_t("Roles"), "admin_panel_settings", "auth.group"),
            Item(_t("Legal pages"), "policy", "accounts.legaltext"),
            Item(
                _t("Stripe events"),
                "webhook",
                "payments.stripeevent",
                "handled_at__isempty=1",
                waiting.stripe_events,
            ),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """For `UNFOLD["SIDEBAR"]`: each group of which anything may be seen."""
    user = request.user
    assert isinstance(user, User)
    home = {"title": _("Home"), "icon": "home", "link": reverse("admin:index")}
    tables = {"title": _("All tables"), "icon": "table", "link": reverse("cockpit-tables")}
    found: list[dict[str, Any]] = [{"title": "", "items": [home]}]
    for title, items in GROUPS:
        shown = [_shown(item) for item in items if may_see(user, item.model)]
        if shown:
            found.append({"title": _(title), "separator": True, "items": shown})
    found[-1]["items"].append(tables)
    return found


def may_see(user: User | AnonymousUser, model: str) -> bool:
    """Whether that table is open to a member of staff, to look at or to change."""
    app, _dot, name = model.partition(".")
    return any(user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change"))


def _shown(item: Item) -> dict[str, Any]:
    app, model = item.model.split(".")
    options = apps.get_model(app, model)._meta
    link = reverse(f"admin:{options.app_label}_{options.model_name}_{item.page}")
    if item.report:
        link = reverse("cockpit-report", args=[item.report])
    shown: dict[str, Any] = {"title": _(item.title), "icon": item.icon, "link": link}
    if item.waiting is not None and (count := item.waiting()):
        shown |= {"badge": str(count), "badge_variant": "warning"}
        if item.query:
            shown["link"] = f"{link}?{item.query}"
    return shown
