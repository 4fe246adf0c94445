"""The sidebar by task, as far as a member of staff may see it, with what waits for a person.

What is plumbing (mirrors, sessions, schedules, the ledger's columns) is in none of its groups: the
list of all tables has it, at the foot of the last one.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.models import User
from cockpit import offered, waiting


class Item(NamedTuple):
    """A table's list, or another `page` of it; `waiting` counts what on it waits for somebody,
    `offered` says whether this shop has it at all."""

    title: str
    icon: str
    model: str  # app.model
    query: str = ""
    waiting: Callable[[], int] | None = None
    page: str = "changelist"
    report: str = ""  # a page of figures in place of the list
    offered: Callable[[], bool] | None = None


GROUPS: tuple[tuple[str, tuple[Item, ...]], ...] = (
    (
        gettext_noop("Customers"),
        (
            Item(gettext_noop("Customers"), "group", "billing.customer"),
            Item(gettext_noop("Keys"), "key", "accounts.apikey"),
            Item(gettext_noop("Access tokens"), "badge", "accounts.personaltoken"),
            Item(gettext_noop("Subscriptions"), "autorenew", "billing.subscription"),
            Item(gettext_noop("Notes"), "sticky_note_2", "billing.customernote"),
            Item(gettext_noop("Mails"), "mail", "billing.mail"),
        ),
    ),
    (
        gettext_noop("Money"),
        (
            Item(
                gettext_noop("Money desk"),
                "point_of_sale",
                "billing.closedmonth",
                waiting=waiting.unpaid,
                page="desk",
            ),
            Item(gettext_noop("Top-ups"), "add_card", "payments.topup"),
            Item(gettext_noop("Invoices"), "receipt_long", "billing.invoice"),
            Item(
                gettext_noop("Credit requests"),
                "how_to_reg",
                "billing.creditrequest",
                "state__exact=open",
                waiting.credits,
            ),
            Item(gettext_noop("Disputes"), "gavel", "payments.dispute", waiting=waiting.disputes),
            Item(gettext_noop("Payouts"), "account_balance", "payments.payout"),
            Item(
                gettext_noop("Months"),
                "event_available",
                "billing.closedmonth",
                waiting=waiting.months,
            ),
            Item(
                gettext_noop("Odd payments"),
                "report",
                "payments.quarantine",
                "resolved_at__isempty=1",
                waiting.odd_payments,
            ),
            Item(
                gettext_noop("Bank transfers"),
                "qr_code_2",
                "payments.banktransfer",
                "state__exact=quarantined",
                waiting.bank_transfers,
                offered=offered.bank_transfers,
            ),
            Item(
                gettext_noop("Bank orders"),
                "qr_code",
                "payments.bankorder",
                offered=offered.bank_transfers,
            ),
            Item(
                gettext_noop("Bank refunds"),
                "undo",
                "payments.bankrefund",
                "state__exact=requested",
                waiting.bank_refunds,
                offered=offered.bank_transfers,
            ),
            Item(
                gettext_noop("Exchange rates"),
                "currency_exchange",
                "payments.exchangerate",
                "",
                waiting.exchange_rates,
                offered=offered.bank_transfers,
            ),
            Item(
                gettext_noop("E-invoices"),
                "description",
                "payments.einvoice",
                "",
                waiting.e_invoices,
                offered=offered.e_invoices,
            ),
            Item(gettext_noop("Tax rates"), "percent", "billing.taxrate"),
            Item(gettext_noop("Transfers"), "swap_horiz", "billing.transfer"),
            Item(gettext_noop("Audit"), "history", "billing.auditentry"),
        ),
    ),
    (
        gettext_noop("Usage"),
        (
            Item(gettext_noop("Requests"), "bolt", "gateway.usageevent"),
            Item(gettext_noop("Batches"), "stacks", "gateway.batch"),
            Item(gettext_noop("Refusals"), "block", "gateway.refusal"),
            Item(
                gettext_noop("Odd bills"),
                "troubleshoot",
                "gateway.usagequarantine",
                "closed_at__isempty=1",
                waiting.odd_bills,
            ),
            Item(
                gettext_noop("Unwritten events"),
                "sync_problem",
                "gateway.deadevent",
                "",
                waiting.unwritten,
            ),
            Item(gettext_noop("Corrections"), "price_change", "gateway.correction"),
        ),
    ),
    (
        gettext_noop("Catalogue"),
        (
            Item(gettext_noop("Models"), "psychology", "gateway.model"),
            Item(gettext_noop("Prices"), "sell", "gateway.price"),
            Item(gettext_noop("Feature prices"), "price_check", "gateway.featureprice"),
            Item(gettext_noop("Customer prices"), "handshake", "gateway.customerprice"),
            Item(gettext_noop("Vendor prices"), "payments", "gateway.vendorprice"),
            Item(gettext_noop("Fees for own keys"), "toll", "gateway.ownkeyfee"),
            Item(
                gettext_noop("Proposals"),
                "lightbulb",
                "gateway.proposal",
                "state__exact=open",
                waiting.proposals,
            ),
            Item(gettext_noop("Features"), "tune", "gateway.feature"),
            Item(
                gettext_noop("Left out"), "filter_alt_off", "gateway.leftout", "", waiting.left_out
            ),
            Item(gettext_noop("Plans"), "layers", "billing.plan"),
            Item(gettext_noop("Add-ons"), "extension", "billing.addon"),
        ),
    ),
    (
        gettext_noop("Vendors"),
        (
            Item(gettext_noop("Providers"), "dns", "gateway.provider"),
            Item(gettext_noop("Credentials"), "vpn_key", "gateway.credential"),
            Item(gettext_noop("Customers' own keys"), "key", "gateway.ownkey"),
            Item(gettext_noop("Choice and health"), "alt_route", "gateway.routing"),
            Item(gettext_noop("Vendors of models"), "route", "gateway.routeterms"),
            Item(gettext_noop("Web search"), "travel_explore", "gateway.searchprovider"),
            Item(gettext_noop("Bills"), "request_quote", "gateway.vendorbill"),
            Item(
                gettext_noop("Differences"),
                "difference",
                "gateway.vendordifference",
                "gone_at__isempty=1",
                waiting.differences,
            ),
            Item(gettext_noop("Reports to fetch"), "cloud_download", "gateway.reportsource"),
            Item(gettext_noop("Vendors' names"), "badge", "gateway.vendorname"),
            Item(gettext_noop("Mark-ups"), "percent", "gateway.markup"),
            Item(gettext_noop("Feature costs"), "construction", "gateway.featurecost"),
            Item(gettext_noop("Margin alarms"), "trending_down", "gateway.marginalarm"),
        ),
    ),
    (
        gettext_noop("Watch"),
        (
            Item(
                gettext_noop("Findings"),
                "notifications",
                "cockpit.finding",
                "state__exact=open",
                waiting.findings,
            ),
            Item(gettext_noop("Rules"), "rule", "cockpit.rule"),
        ),
    ),
    (
        gettext_noop("Growth"),
        (
            Item(gettext_noop("Promo codes"), "local_offer", "billing.promocode"),
            Item(gettext_noop("Redemptions"), "redeem", "billing.redemption"),
            Item(
                gettext_noop("Referrals"),
                "share",
                "billing.referral",
                "status__exact=review",
                waiting.referrals,
            ),
            Item(gettext_noop("Referral terms"), "contract", "billing.referralprogram"),
            Item(gettext_noop("Announcements"), "campaign", "billing.announcement"),
            Item(
                gettext_noop("What codes bring"), "filter_alt", "billing.transfer", report="promos"
            ),
            Item(
                gettext_noop("What invitations bring"),
                "hub",
                "billing.transfer",
                report="referrals",
            ),
            Item(gettext_noop("Cohorts"), "groups", "billing.transfer", report="cohorts"),
            Item(
                gettext_noop("What plans earn"), "savings", "billing.transfer", report="earnings"
            ),
        ),
    ),
    (
        gettext_noop("System"),
        (
            Item(gettext_noop("People and staff"), "badge", "accounts.user"),
            Item(gettext_noop("Roles"), "admin_panel_settings", "auth.group"),
            Item(gettext_noop("Legal pages"), "policy", "accounts.legaltext"),
            Item(
                gettext_noop("Stripe events"),
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
    answers: dict[Callable[[], bool], bool] = {}
    for title, items in GROUPS:
        shown = [_shown(item) for item in items if _is_open(user, item, answers)]
        if shown:
            found.append({"title": _(title), "separator": True, "items": shown})
    found[-1]["items"].append(tables)
    return found


def _is_open(user: User, item: Item, answers: dict[Callable[[], bool], bool]) -> bool:
    """Whether they may see it, and there is anything to see; what was asked is not asked again."""
    if not may_see(user, item.model):
        return False
    if item.offered is None:
        return True
    if item.offered not in answers:
        answers[item.offered] = item.offered()
    return answers[item.offered]


def may_see(user: User | AnonymousUser, model: str) -> bool:
    """Whether that table is open to a member of staff, to look at or to change."""
    app, _dot, name = model.partition(".")
    return any(user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change"))


@cache
def _link(item: Item) -> str:
    """Where it leads, which is the same for everybody and on every page."""
    if item.report:
        return reverse("cockpit-report", args=[item.report])
    app, model = item.model.split(".")
    options = apps.get_model(app, model)._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_{item.page}")


def _shown(item: Item) -> dict[str, Any]:
    link = _link(item)
    shown: dict[str, Any] = {"title": _(item.title), "icon": item.icon, "link": link}
    if item.waiting is not None and (count := item.waiting()):
        shown |= {"badge": str(count), "badge_variant": "warning"}
        if item.query:
            shown["link"] = f"{link}?{item.query}"
    return shown
