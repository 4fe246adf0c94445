"""What to do next: the one click that ends a refusal, how long the money lasts, and what the
numbers of the last week suggest. All of it from what is counted anyway."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.people import mailboxes
from billing.plans import terms
from billing.plans.models import AddOn, Plan
from billing.rewards import gifts
from gateway.catalogue import snapshot
from gateway.dashboard import caching, charts
from gateway.dashboard.caching import Notice
from gateway.usage import rollups, series
from gateway.usage.models import Refusal
from hontoni.templatetags.money import about
from ratelimits.limiter import Limits

LIMITS = {  # which limit of a plan a refusal is about
    "rate_limit_exceeded": "rpm",
    "plan_limit_5h": "five_hours",
    "plan_limit_daily": "daily",
    "plan_limit_weekly": "weekly",
    "plan_limit_monthly": "monthly",
    "concurrency_limit": "concurrent",
}
_MONEY = {"insufficient_balance", "balance_on_hold"}
_KEYS = {"ip_not_allowed", "model_not_allowed"}
_MODELS = {"model_not_found", "model_retired", "context_length_exceeded"}
_RECENT = timedelta(days=7)
_SHORT_DAYS = 3


@dataclass(frozen=True, slots=True)
class Remedy:
    """A link, and what it gets."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """An address that is not proven, and the nano-dollars that wait for it."""

    email: str
    waiting: int


# -- What ends a refusal -------------------------------------------------------------------------


def remedies(user_id: int, refusals: Iterable[Refusal]) -> dict[int, list[Remedy]]:
    """By refusal: the cheapest add-on and the cheapest plan with more of what was too little, a
    top-up, or the key's page. What no click ends has none."""
    refusals = list(refusals)
    wanted = {each.code for each in refusals} & LIMITS.keys()
    more = _more(user_id, wanted) if wanted else {}
    return {each.pk: more.get(each.code) or _other(each) for each in refusals}


def _other(refusal: Refusal) -> list[Remedy]:
    if refusal.code in _MONEY:
        return [Remedy(_("Add funds"), reverse("billing-topup"))]
    if refusal.code in _KEYS or refusal.code.startswith("key_cap_"):
        return [Remedy(_("Change this key's limits"), reverse("key", args=[refusal.api_key_id]))]
    if refusal.code in _MODELS:
        return [Remedy(_("See all models"), reverse("models"))]
    if refusal.code == "invalid_api_key":
        return [Remedy(_("See your keys"), reverse("keys"))]
    if refusal.code == "account_frozen":
        return [Remedy(_("Write to us"), reverse("legal-contact"))]
    return []


def _more(user_id: int, codes: set[str]) -> dict[str, list[Remedy]]:
    plan, multiplier = terms.plan_of(user_id)
    mine = terms.limits(plan, multiplier)
    plans = list(Plan.objects.filter(active=True, price__gt=plan.price).order_by("price"))
    add_ons = list(AddOn.objects.filter(active=True, multiplier__gt=multiplier).order_by("price"))
    return {code: _larger(LIMITS[code], plan, multiplier, mine, plans, add_ons) for code in codes}


def _larger(
    name: str, plan: Plan, times: int, mine: Limits, plans: list[Plan], add_ons: list[AddOn]
) -> list[Remedy]:
    """An add-on that is had goes on with another plan, and multiplies that one's limits."""
    found, page = [], reverse("billing-change")
    for add_on in add_ons[:1]:
        limit = getattr(terms.limits(plan, add_on.multiplier), name)
        found.append(Remedy(_gain(add_on, limit), f"{page}?add_on={add_on.slug}"))
    larger = (
        each for each in plans if getattr(terms.limits(each, times), name) > getattr(mine, name)
    )
    if better := next(larger, None):
        limit = getattr(terms.limits(better, times), name)
        found.append(Remedy(_gain(better, limit), f"{page}?plan={better.slug}"))
    return found


def _gain(sold: Plan | AddOn, limit: int) -> str:
    words = _("%(name)s: %(limit)s for %(price)s a month")
    return words % {"name": sold.name, "limit": f"{limit:,}", "price": about(sold.price)}


# -- The overview --------------------------------------------------------------------------------


def overview(user: User, glance: rollups.Glance, available: int, now: datetime) -> dict[str, Any]:
    """The chart of two weeks, the week against the one before, how long the balance lasts, and
    what to look at."""
    along = series.moments(14, now)
    rows = series.selection(user.pk, series.span(along), {})
    found = series.series(rows, "model", "cost", along)
    past = series.earlier(along)
    earlier = series.series(
        series.selection(user.pk, series.span(past), {}), "user_id", "cost", past
    )
    before = sum(sum(each.values[:7]) for each in found)
    days = runway(available, glance.week, user.created_at, now)
    refused = Refusal.objects.filter(user_id=user.pk, last_at__gte=now - _RECENT)
    latest = list(refused.select_related("api_key").order_by("-last_at")[:2])
    return {
        "chart": charts.draw(
            along,
            found,
            about,
            link=_of_a_day,
            earlier=earlier[0].values if earlier else None,
        )
        if found
        else None,
        "before": before,
        "change": _change(before, glance.week),
        "runway": days,
        "short": days is not None and days < _SHORT_DAYS,
        "refused": refused.aggregate(n=Sum("count"))["n"] or 0,
        "latest_refusals": latest,
        "unconfirmed": unconfirmed(user),
        "notices": _notices(user.pk, rows, now),
    }


def _of_a_day(moment: series.Moment) -> str:
    return f"{reverse('usage-log')}?since={moment.isoformat()}&until={moment.isoformat()}"


def unconfirmed(user: User) -> Unconfirmed | None:
    """None if the account's address is proven."""
    email = mailboxes.address(user)
    if email in mailboxes.confirmed(user.pk):
        return None
    found = gifts.standing(user.pk)
    return Unconfirmed(email, found.amount if found.status == "unconfirmed" else 0)


def runway(available: int, week: int, since: datetime, now: datetime) -> int | None:
    """For how many days the balance lasts at the pace of the last seven, or of all there were;
    None without a pace."""
    days = max(1, min(7, (now - since).days + 1))
    return max(0, available) * days // week if week > 0 else None


def _change(before: int, after: int) -> str:
    """ "+12 %"; empty where there is nothing to compare."""
    if not before:
        return ""
    percent = (after - before) * 100 // before
    return f"{'+' if percent >= 0 else '−'}{abs(percent):,} %"


def _notices(user_id: int, rows: Any, now: datetime) -> list[Notice]:
    used = set(rows.filter(requests__gt=0).values_list("model", flat=True))
    return [*_retired(used), *_ending(used), *caching.coaching(user_id, now)]


def _retired(used: set[str]) -> list[Notice]:
    """Models that were used lately and are not sold any more."""
    gone = sorted(used - snapshot.load().listed.keys())
    words = _("%(model)s is not offered any more: choose another model in what still asks for it.")
    models = reverse("models")
    return [Notice(words % {"model": model}, models, _("See all models")) for model in gone]


def _ending(used: set[str]) -> list[Notice]:
    """Models that were used lately and whose end is known."""
    listed = snapshot.load().listed
    words = _("%(model)s, which you use, ends on %(date)s: choose another model before.")
    found = []
    for name in sorted(used & listed.keys()):
        if (ends := listed[name].life.ends_at) is not None:
            text = words % {
                "model": name,
                "date": date_format(timezone.localtime(ends), "DATE_FORMAT"),
            }
            found.append(Notice(text, reverse("model", args=[name]), _("What comes after it")))
    return found
