"""Plans and add-ons that staff give for nothing.

Nothing is charged, invoiced or credited for one, and it ends with its period: it never renews, so
nobody pays for what he did not order. Its owner may let it go on, which renews it at its price.
"""

import calendar
from datetime import datetime, timedelta

from django.db import transaction

from billing.books import audit
from billing.plans import terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.subscriptions import renewals
from hontoni import errors

MOST_DAYS = 366


class Occupied(errors.Conflict):
    code = "already_subscribed"


def give(
    user_id: int, plan: Plan | None, add_on: AddOn | None, *, until: datetime, now: datetime
) -> Subscription:
    """Put an account on a plan and an add-on; without a plan, on the one it has, or the default.

    Call it in a transaction. What is in force already stays as it is. Raises Occupied if another
    plan or another add-on is, Conflict if Stripe's.
    """
    mine = renewals.locked(user_id)
    if mine is None:
        mine = Subscription.objects.create(
            user_id=user_id,
            plan=plan or terms.default_plan(),
            add_on=add_on,
            period_start=now,
            period_end=until,
            cancel_at_period_end=True,
        )
        terms.apply(user_id)
        return mine
    if plan is not None and mine.plan != plan:
        raise Occupied("The account is on the plan %(plan)s already.", about={"plan": mine.plan})
    if add_on is not None and mine.add_on != add_on:
        if mine.add_on is not None:
            raise Occupied(
                "The account has the add-on %(add_on)s already.", about={"add_on": mine.add_on}
            )
        mine.add_on, mine.add_on_price, mine.add_on_ends = add_on, 0, True
        mine.save()
        terms.apply(user_id)
    return mine


@transaction.atomic
def extend_trial(
    user_id: int, days: int, *, reason: str, actor: str, request_id: str = ""
) -> Subscription:
    """Let a trial, or what was given, last so many days longer.

    Raises BadRequest for a number that makes no sense, Conflict where no trial is live, or where
    its owner has it go on at its price.
    """
    if not 1 <= days <= MOST_DAYS:
        raise errors.BadRequest(
            "From 1 to %(most_days)s days.", param="days", about={"most_days": MOST_DAYS}
        )
    mine = renewals.locked(user_id)
    if mine is None or not mine.on_trial:
        raise errors.Conflict("No trial is live.")
    before, mine.period_end = mine.period_end, mine.period_end + timedelta(days=days)
    mine.save(update_fields=["period_end"])
    audit.record(
        actor=actor,
        action="extend trial",
        subject=f"user:{user_id}",
        before={"ends": before.isoformat()},
        after={"ends": mine.period_end.isoformat(), "reason": reason},
        request_id=request_id,
    )
    return mine


def months_later(start: datetime, months: int) -> datetime:
    """The same day so many months later, or that month's last."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)
