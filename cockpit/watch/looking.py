"""What each rule looks at: a question or two that an index answers.

Day and 24 hours are UTC's, as in the books. A finding of a day names it, so that another day's is
another finding.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil

from allauth.usersessions.models import UserSession
from django.db.models import Count, Sum
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import ApiKey, KeyPlace, User
from billing.rewards.models import Mark
from billing.stripe.models import Quarantine
from cockpit import daily
from cockpit.daily import Period, midnight
from cockpit.watch.models import Kind, Rule
from cockpit.watch.sentences import sentence
from gateway.reconciliation.vendors.earnings import folded, of_places
from gateway.reconciliation.vendors.models import VendorDifference
from gateway.usage.models import DeadEvent
from gateway.usage.quarantine.models import Kind as Strange
from gateway.usage.quarantine.models import UsageQuarantine
from hontoni.addresses import network
from hontoni.money import DOLLAR, dollars, nanos
from hontoni.templatetags.money import about

WEEK = timedelta(days=7)
DAY = timedelta(hours=24)
MOST_ACCOUNTS = 1_000  # of one finding


@dataclass(frozen=True, slots=True)
class Seen:
    """What is so now. `number` says how much of it: twice as much is news again."""

    subject: str
    text: str
    number: Decimal
    users: list[int] = field(default_factory=list)
    link: str = ""


def _rows(model: str, **lookups: str) -> str:
    return f"{reverse(f'admin:{model}_changelist')}?{urlencode(lookups)}"


def _dollars(amount: int) -> Decimal:
    """Nano-dollars to the cent."""
    return round(Decimal(amount) / DOLLAR, 2)


def _people(users: Iterable[int]) -> dict[int, str]:
    return dict(User.objects.filter(pk__in=list(users)).values_list("pk", "email"))


# -- Customers -----------------------------------------------------------------------------------


def spend(rule: Rule, now: datetime) -> Iterator[Seen]:
    """Today beside the average of the seven days before."""
    today = now.astimezone(UTC).date()
    hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    spent = daily.by_customer(Period(midnight(today), hour))
    least = nanos(rule.least)
    large = {pk: used.cost for pk, used in spent.items() if used.cost >= max(least, 1)}
    if not large:
        return
    before = daily.by_customer(Period(midnight(today - WEEK), midnight(today)))
    names = _people(large)
    for pk, cost in large.items():
        usual = before[pk].cost // 7 if pk in before else 0
        if cost >= usual * rule.threshold:
            spent_now = {"who": names[pk], "spent": about(cost), "day": today}
            text = sentence(Kind.SPEND, **spent_now, usual=about(usual))
            link = reverse("admin:billing_customer_change", args=[pk])
            yield Seen(f"user:{pk} {today}", text, _dollars(cost), [pk], link)


def accounts(rule: Rule, now: datetime) -> Iterator[Seen]:
    """Sign-ups of 24 hours beside a day of the week before them."""
    people = User.objects.filter(is_staff=False)
    begin = now - DAY
    new = people.filter(created_at__gte=begin, created_at__lt=now).count()
    before = people.filter(created_at__gte=begin - WEEK, created_at__lt=begin).count()
    if new and new >= rule.least and new * 7 >= before * rule.threshold:
        today = now.astimezone(UTC).date()
        text = sentence(Kind.ACCOUNTS, count=new, usual=f"{before / 7:.1f}")
        link = _rows("billing_customer", created_at__gte=begin.isoformat())
        users = people.filter(created_at__gte=begin).order_by("-pk").values_list("pk", flat=True)
        yield Seen(f"accounts {today}", text, Decimal(new), list(users[:MOST_ACCOUNTS]), link)


def address(rule: Rule, now: datetime) -> Iterator[Seen]:
    """Accounts by the network that they, or their keys, were used from within a week."""
    since = now - WEEK
    found: dict[str, set[int]] = {}
    for place, user in _places(since):
        found.setdefault(place, set()).add(user)
    for place, users in sorted(found.items()):
        if len(users) >= rule.threshold:
            text = sentence(Kind.ADDRESS, count=len(users), place=place)
            yield _together(f"address:{place}", text, users)


def _places(since: datetime) -> Iterator[tuple[str, int]]:
    """Where keys were used, where they were made, and where people signed in."""
    used = KeyPlace.objects.filter(day__gte=since.date(), user__is_staff=False)
    yield from used.values_list("network", "user").distinct().iterator()
    made = ApiKey.objects.filter(created_at__gte=since, user__is_staff=False)
    signed_in = UserSession.objects.filter(created_at__gte=since, user__is_staff=False)
    rows = [
        *made.exclude(made_from=None).values_list("made_from", "user"),
        *signed_in.values_list("ip", "user"),
    ]
    yield from ((network(ip), user) for ip, user in rows if ip)


def person(rule: Rule, now: datetime) -> Iterator[Seen]:
    """Accounts by a mark (mailbox, card, browser) that several bear."""
    rows = Mark.objects.filter(user__is_staff=False).values("kind", "digest").order_by()
    crowds = rows.annotate(users=Count("user", distinct=True))
    for row in crowds.filter(users__gte=max(ceil(rule.threshold), 2))[:500]:
        kind, digest = row["kind"], row["digest"]
        users = Mark.objects.filter(digest=digest, user__is_staff=False)
        text = sentence(Kind.PERSON, count=row["users"], mark=kind)
        yield _together(f"{kind}:{digest}", text, users.values_list("user", flat=True))


def _together(subject: str, text: str, users: Iterable[int]) -> Seen:
    members = sorted(users)
    link = _rows("billing_customer", id__in=",".join(map(str, members[:200])))
    return Seen(subject, text, Decimal(len(members)), members[:MOST_ACCOUNTS], link)


def key_places(rule: Rule, now: datetime) -> Iterator[Seen]:
    """Keys by the networks of a day: of today, and of yesterday, which may have ended as late."""
    for day in (now.date(), (now - DAY).date()):
        rows = KeyPlace.objects.filter(day=day).values("key", "user").order_by()
        many = rows.annotate(places=Count("network")).filter(places__gte=ceil(rule.threshold))
        keys = ApiKey.objects.select_related("user").in_bulk([row["key"] for row in many])
        for row in many:
            key = keys[row["key"]]
            whose = {"key": key, "who": key.user, "day": day}
            text = sentence(Kind.KEY_PLACES, **whose, count=row["places"])
            link = reverse("admin:accounts_apikey_change", args=[key.pk])
            subject = f"key:{key.pk} {day}"
            yield Seen(subject, text, Decimal(row["places"]), [row["user"]], link)


# -- Bills and books -----------------------------------------------------------------------------


def capped(rule: Rule, now: datetime) -> Iterator[Seen]:
    """Charges that were cut at the hold (`charge.capped` in the log), by model."""
    today = now.astimezone(UTC).date()
    cut = UsageQuarantine.objects.filter(kind=Strange.CAPPED, created_at__gte=now - DAY)
    rows = cut.values("event__model").annotate(times=Count("pk"), billed=Sum("event__cost"))
    for row in rows.order_by().filter(times__gte=ceil(rule.threshold)):
        model = row["event__model"]
        users = set(cut.filter(event__model=model).values_list("event__user", flat=True))
        cut_at = about(row["billed"])
        text = sentence(Kind.CAPPED, model=model, count=row["times"], amount=cut_at)
        link = _rows("gateway_usagequarantine", kind__exact=Strange.CAPPED.value)
        yield Seen(f"model:{model} {today}", text, Decimal(row["times"]), sorted(users), link)


def quarantine(rule: Rule, now: datetime) -> Iterator[Seen]:
    """What waits for somebody, by list."""
    lists = {
        "bills": (UsageQuarantine.objects.filter(closed_at=None), "gateway_usagequarantine"),
        "payments": (Quarantine.objects.filter(resolved_at=None), "payments_quarantine"),
        "events": (DeadEvent.objects.all(), "gateway_deadevent"),
    }
    for name, (rows, model) in lists.items():
        waiting = rows.count()
        if waiting and waiting >= rule.threshold:
            link = reverse(f"admin:{model}_changelist")
            text = sentence(Kind.QUARANTINE, count=waiting, list=name)
            yield Seen(name, text, Decimal(waiting), link=link)


def margin(rule: Rule, now: datetime) -> Iterator[Seen]:
    """Yesterday's models, by what they earned of what they were charged."""
    day = now.astimezone(UTC).date() - timedelta(days=1)
    for each in folded(of_places(day, day), lambda place: place.model):
        if not each.known or each.margin is None or each.cost < nanos(rule.least):
            continue
        if each.margin * 100 < each.revenue * rule.threshold:
            earned = {"charged": about(each.revenue), "cost": about(each.cost)}
            text = sentence(Kind.MARGIN, model=each.name, day=day, **earned)
            link = reverse("admin:gateway_marginalarm_changelist")
            yield Seen(f"model:{each.name} {day}", text, _dollars(each.cost), link=link)


def vendor_bill(rule: Rule, now: datetime) -> Iterator[Seen]:
    """Differences that are not gone."""
    for row in VendorDifference.objects.filter(gone_at=None)[:500]:
        if abs(row.rest) >= nanos(rule.threshold):
            amount = f"${dollars(abs(row.rest))}"
            text = sentence(Kind.VENDOR_BILL, difference=row, amount=amount)
            link = reverse("admin:gateway_vendordifference_change", args=[row.pk])
            yield Seen(f"difference:{row.pk}", text, _dollars(abs(row.rest)), link=link)


Look = Callable[[Rule, datetime], Iterable[Seen]]
LOOKS: dict[str, Look] = {
    Kind.SPEND: spend,
    Kind.ACCOUNTS: accounts,
    Kind.ADDRESS: address,
    Kind.PERSON: person,
    Kind.KEY_PLACES: key_places,
    Kind.CAPPED: capped,
    Kind.QUARANTINE: quarantine,
    Kind.MARGIN: margin,
    Kind.VENDOR_BILL: vendor_bill,
}
