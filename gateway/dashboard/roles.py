"""The roles of staff, as groups, and what each may do. Superusers may do everything.

Staff may add groups and change these: a role is given each of these permissions once, and what
staff take from it stays away.
"""

from collections import defaultdict

from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

from gateway.dashboard.models import RoleGrant

_ACCOUNTS = (
    *("view_user", "view_apikey", "view_personaltoken"),
    *("view_membership", "view_teamevent"),
)
_BOOKS = (
    "view_wallet",
    "view_ledgeraccount",
    "view_transfer",
    "view_entry",
    "view_subscription",
    "view_invoice",
    "view_invoiceseries",
    "view_redemption",
    "view_resetpass",
    "view_referral",
    "view_notice",
    "view_mail",
    "view_preferences",
    "view_customer",
    "view_announcement",
)
_PAYMENTS = (
    "view_autotopup",
    "view_dispute",
    "view_planorder",
    "view_quarantine",
    "view_stripecustomer",
    "view_stripeevent",
    "view_topup",
    *("view_bankorder", "view_banktransfer", "view_bankrefund", "view_einvoice"),
    "view_exchangerate",
)
_WATCH = ("view_finding", "decide_finding", "view_rule")
_CUSTOMERS = (
    *("freeze_customer", "look_as_customer", "raise_limits"),
    *("view_customernote", "add_customernote", "view_creditrequest", "credit_within_limit"),
)
_EDIT = ("add", "change", "delete", "view")
ROLES = {
    "support": {
        "accounts": (*_ACCOUNTS, "change_apikey", "change_personaltoken"),
        "billing": (*_BOOKS, "view_plan", "view_addon", "view_promocode", *_CUSTOMERS),
        "payments": _PAYMENTS,
        "gateway": (
            *("view_model", "view_price", "view_refusal", "view_usageevent", "view_overflowmonth"),
            "view_correction",
            *("view_feature", "view_leftout", "view_customerprice", "view_ownkey"),
            "view_featureprice",
            *("view_routing", "view_batch", "change_batch"),
        ),
        "cockpit": _WATCH,
    },
    "finance": {
        "accounts": (*_ACCOUNTS, *(f"{verb}_legaltext" for verb in _EDIT)),
        "billing": (
            *_BOOKS,
            "adjust_balance",
            "manage_subscription",
            *_CUSTOMERS,
            *("decide_creditrequest", "export_customer"),
            *("view_closedmonth", "close_month", "export_books"),
            "view_auditentry",
            *(f"{verb}_taxrate" for verb in _EDIT),
            "view_plan",
            "view_addon",
            "add_promocode",
            "change_promocode",
            "view_promocode",
            "change_referral",
            "add_referralprogram",
            "change_referralprogram",
            "view_referralprogram",
            *(f"{verb}_announcement" for verb in (*_EDIT, "release")),
        ),
        "payments": (
            *_PAYMENTS,
            *("replay_stripeevent", "resolve_quarantine", "refund_topup"),
            *("view_payout", "answer_dispute"),
            *("set_exchangerate", "book_banktransfer", "request_bankrefund", "send_bankrefund"),
            "replace_einvoice",
        ),
        "gateway": (
            *("view_model", "view_price", "view_refusal", "view_usageevent", "view_overflowmonth"),
            *("view_deadevent", "change_deadevent"),
            *("view_usagequarantine", "close_usagequarantine"),
            *("view_correction", "correct_requests"),
            *("view_feature", "view_featureprice", "view_leftout"),
            *("view_vendorbill", "view_vendorimport", "add_vendorimport"),
            "view_vendordifference",
            *(f"{verb}_vendorname" for verb in _EDIT),
            *(f"{verb}_vendorprice" for verb in _EDIT),
            *("view_featurecost", "view_markup", "view_customerprice", "view_proposal"),
            *("view_ownkey", "view_ownkeyfee", "view_batch"),
            "view_marginalarm",
        ),
        "cockpit": (*_WATCH, "change_rule"),
    },
    "catalogue": {
        "billing": (
            "add_plan",
            "change_plan",
            "view_plan",
            "add_addon",
            "change_addon",
            "view_addon",
        ),
        "gateway": (
            "add_model",
            "change_model",
            "view_model",
            "add_price",
            "delete_price",
            "view_price",
            "add_alias",
            "change_alias",
            "delete_alias",
            "view_alias",
            *("add_feature", "change_feature", "view_feature", "view_leftout", "allow_leftout"),
            *(f"{verb}_featureprice" for verb in ("add", "delete", "view")),
            *(f"{verb}_provider" for verb in _EDIT),
            *(f"{verb}_offering" for verb in _EDIT),
            *(f"{verb}_credential" for verb in _EDIT),
            *(f"{verb}_reportsource" for verb in _EDIT),
            *(f"{verb}_vendorname" for verb in _EDIT),
            *(f"{verb}_vendorprice" for verb in _EDIT),
            *(f"{verb}_featurecost" for verb in _EDIT),
            *(f"{verb}_markup" for verb in _EDIT),
            *(f"{verb}_customerprice" for verb in _EDIT),
            *("view_proposal", "decide_proposal", "view_marginalarm"),
            *(f"{verb}_routing" for verb in _EDIT),
            *(f"{verb}_routeterms" for verb in _EDIT),
            *(f"{verb}_searchprovider" for verb in _EDIT),
            *("view_ownkey", "add_ownkeyfee", "view_ownkeyfee", "delete_ownkeyfee"),
        ),
    },
}


AUDITOR = "auditor"


def _to_read() -> dict[str, tuple[str, ...]]:
    """Whatever the admin shows, to look at. Stripe's mirror goes with its events."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for model in admin.site._registry:
        options = model._meta
        if "view" in options.default_permissions and options.app_label != "djstripe":
            found[options.app_label].add(f"view_{options.model_name}")
    return {app: tuple(sorted(names)) for app, names in found.items()}


def seed() -> None:
    """Create the roles that are missing, and give the others what is new since they were."""
    for name, apps in (*ROLES.items(), (AUDITOR, _to_read())):
        with transaction.atomic():
            role, created = Group.objects.get_or_create(name=name)
            _give(role, _permissions(apps), anew=created)


def _give(role: Group, permissions: list[Permission], *, anew: bool) -> None:
    given = RoleGrant.objects.filter(role=role.name)
    if anew:
        given.delete()
    had = set(given.values_list("app", "codename"))
    new = [each for each in permissions if _named(each) not in had]
    role.permissions.add(*new)
    RoleGrant.objects.bulk_create(
        (RoleGrant(role=role.name, app=app, codename=name) for app, name in map(_named, new)),
        ignore_conflicts=True,
    )


def _named(permission: Permission) -> tuple[str, str]:
    return permission.content_type.app_label, permission.codename


def _permissions(apps: dict[str, tuple[str, ...]]) -> list[Permission]:
    """Raises LookupError if one is not known: a role must not silently do less."""
    wanted = Q()
    for app, names in apps.items():
        wanted |= Q(content_type__app_label=app, codename__in=names)
    found = list(Permission.objects.filter(wanted).select_related("content_type"))
    missing = {n for names in apps.values() for n in names} - {p.codename for p in found}
    if missing:
        raise LookupError(f"no such permissions: {sorted(missing)}")
    return found
