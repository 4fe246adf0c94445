"""What the next period costs: a price that rises is announced first, one that falls binds at once.

Always true, whoever pays by whichever way:

1. A renewal costs what the list says, but never more than was agreed, or announced to this
   subscriber at least `PRICE_NOTICE_DAYS` before the period begins.
2. Agreed is what was paid for the present period, and for a change that waits for its end what
   the list said when it was asked for.
3. What was announced is lowered with the list: a rise that is taken back binds nobody.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q
from django.utils.translation import gettext

from billing.books import standing
from billing.mails import notices
from billing.plans import periods
from billing.plans.models import AddOn, Plan, PriceNotice, Subscription
from hontoni.money import dollars

Sold = Plan | AddOn

# Only these may be billed another price next by Stripe than in this period.
MOVED = (
    Q(plan__price__gt=F("plan_price"))
    | Q(plan__price__lt=F("plan_price"))
    | Q(add_on__price__gt=F("add_on_price"))
    | Q(add_on__price__lt=F("add_on_price"))
    | Q(next_plan__isnull=False)
    | Q(next_add_on__isnull=False)
    | Q(next_plan_price__gt=0)
    | Q(next_add_on_price__gt=0)
)


def kind_of(sold: Sold) -> str:
    """`plan` or `add_on`, as the fields of a subscription are named."""
    return "plan" if isinstance(sold, Plan) else "add_on"


def coming(mine: Subscription) -> list[Sold]:
    """What a subscription renews as: a plan, and perhaps an add-on. Nothing if it ends."""
    plan = mine.next_plan or mine.plan
    add_on = None if mine.add_on_ends else mine.next_add_on or mine.add_on
    if mine.cancel_at_period_end or (plan.is_default and add_on is None):
        return []
    return [plan, add_on] if add_on else [plan]


def agreed(mine: Subscription, sold: Sold) -> int:
    """What was agreed for it, in nano-dollars a month; for something new, the list's price."""
    kind = kind_of(sold)
    known = 0
    if sold == getattr(mine, kind):
        known = getattr(mine, f"{kind}_price")
    if not known and sold in (getattr(mine, f"next_{kind}"), getattr(mine, kind)):
        known = getattr(mine, f"next_{kind}_price")
    return known or sold.price


def next_price(mine: Subscription, sold: Sold) -> int:
    """What the period after this one costs, of a plan or an add-on; nano-dollars a month."""
    known = agreed(mine, sold)
    if sold.price <= known:
        return sold.price
    announced = PriceNotice.objects.filter(
        subscription=mine, binds_at__lte=mine.period_end, **{kind_of(sold): sold}
    )
    highest = announced.aggregate(most=Max("price"))["most"] or 0
    return min(sold.price, max(known, highest))


# -- Announcing ----------------------------------------------------------------------------------


def announce(now: datetime) -> int:
    """Tell everybody whose next price has risen, once; take back what fell. How many were told."""
    for model in (Plan, AddOn):
        for sold in model.objects.all():
            higher = PriceNotice.objects.filter(price__gt=sold.price, **{kind_of(sold): sold})
            higher.update(price=sold.price)
    live = Subscription.objects.filter(standing.good(), status__in=Subscription.LIVE)
    risen = (
        _risen("plan", "plan_price")
        | Q(_risen("plan", "next_plan_price"), trial=True)
        | _risen("add_on", "add_on_price")
        | _risen("next_plan", "next_plan_price")
        | _risen("next_add_on", "next_add_on_price")
    )
    found = live.filter(risen, cancel_at_period_end=False).values_list("pk", flat=True)
    return sum(_announce(pk, now) for pk in list(found))


def _risen(sold: str, agreed: str) -> Q:
    """The list says more than was agreed, and than its subscriber was told."""
    kind = sold.removeprefix("next_")
    announced = PriceNotice.objects.filter(
        subscription=OuterRef("pk"), price=OuterRef(f"{sold}__price"), **{kind: OuterRef(sold)}
    )
    return Q(~Exists(announced), **{f"{sold}__price__gt": F(agreed), f"{agreed}__gt": 0})


def _announce(pk: int, now: datetime) -> int:
    with transaction.atomic():
        rows = Subscription.objects.select_related("plan", "add_on", "next_plan", "next_add_on")
        mine = rows.select_for_update(of=("self",)).get(pk=pk)
        risen = list(_untold(mine))
        for sold in risen:
            _tell(mine, sold, now)
    return len(risen)


def _untold(mine: Subscription) -> Iterator[Sold]:
    for sold in coming(mine):
        announced = PriceNotice.objects.filter(subscription=mine, **{kind_of(sold): sold})
        if sold.price > agreed(mine, sold) and not announced.filter(price=sold.price).exists():
            yield sold


def _tell(mine: Subscription, sold: Sold, now: datetime) -> None:
    binds_at = now + timedelta(days=settings.PRICE_NOTICE_DAYS)
    old = next_price(mine, sold)
    notice = PriceNotice.objects.create(
        subscription=mine,
        price=sold.price,
        told_at=now,
        binds_at=binds_at,
        **{kind_of(sold): sold},
    )
    facts = {
        "sold": sold.name,
        "old": dollars(old),
        "new": dollars(sold.price),
        "from_at": first_at(mine, binds_at).isoformat(),
    }
    key = f"price_rises:{notice.pk}"
    notices.tell(user_id=mine.user_id, kind="price_rises", key=key, facts=facts)


def first_at(mine: Subscription, moment: datetime) -> datetime:
    """The first renewal that is not before a moment."""
    start, end = mine.period_start, mine.period_end
    while end < moment:
        start, end = end, periods.next_end(start, end)
    return end


def binding(sold: Sold) -> str:
    """Whom its price binds and from when, for staff."""
    if sold.pk is None:
        return gettext("Nobody yet.")
    kind = kind_of(sold)
    live = Subscription.objects.filter(
        **{kind: sold, f"{kind}_price__lt": sold.price, f"{kind}_price__gt": 0},
        status__in=Subscription.LIVE,
    )
    if not (waiting := live.count()):
        return gettext("Everybody: who buys it now, and who has it from the next renewal on.")
    noticed = PriceNotice.objects.filter(
        subscription__in=live, price=sold.price, **{kind: sold}
    ).order_by("binds_at")
    dates = list(noticed.values_list("binds_at", flat=True))
    when = gettext("soon")
    if dates:
        between = {"first": f"{dates[0]:%Y-%m-%d}", "last": f"{dates[-1]:%Y-%m-%d}"}
        when = gettext("between %(first)s and %(last)s") % between
    return gettext(
        "Who buys it now; %(waiting)d who paid less, from their first renewal that is %(days)d "
        "days after they are told (%(told)d are: %(when)s)."
    ) % {
        **{"waiting": waiting, "days": settings.PRICE_NOTICE_DAYS},
        **{"told": len(dates), "when": when},
    }
