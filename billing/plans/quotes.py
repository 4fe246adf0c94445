"""What a change of plan or add-on costs, and when it happens. Nothing here changes anything.

* What is dearer starts now; its price, less what the present one cost, is due for the rest of the
  period: `periods.share` of the difference, by seconds, rounded half up once, to whole cents.
* What is cheaper, plan or add-on, starts when the period that is paid ends. So nothing that a
  customer does is ever credited, and limits cannot be had for the seconds they are used.
* Prices already paid are the ones of this period's sale; a renewal: prices.py.
* A trial is a plan that is not sold yet: buying it begins the month that is paid, at once.
* Whoever buys a plan goes on with it: what was to end with the period renews.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from billing.invoices.issuing import Line
from billing.plans import periods, prices
from billing.plans.models import AddOn, Plan, Subscription
from hontoni import errors
from hontoni.money import whole_cents


class NotSubscribed(errors.Conflict):
    code = "not_subscribed"


@dataclass(frozen=True, slots=True)
class Quote:
    """Amounts are nano-dollars.

    `plan` and `add_on` are what the change leads to, and `renewal` is what the next period costs
    then; None if it is to end with the present one.
    """

    action: str
    plan: Plan
    add_on: AddOn | None
    period_start: datetime
    period_end: datetime
    starts_at: datetime
    renewal: int | None
    lines: tuple[Line, ...] = ()

    @property
    def due_now(self) -> int:
        return sum(line.amount for line in self.lines)


def price(plan: Plan, add_on: AddOn | None) -> int:
    """Of a month, by the list."""
    return whole_cents(plan.price) + (whole_cents(add_on.price) if add_on else 0)


def renewal(mine: Subscription, plan: Plan, add_on: AddOn | None) -> int:
    """What the next period costs, as these, whichever way it is paid."""
    extra = prices.next_price(mine, add_on) if add_on else 0
    return prices.next_price(mine, plan) + extra


def next_period(mine: Subscription) -> tuple[Plan, AddOn | None] | None:
    """What a subscription renews as, or None if it ends with its period."""
    coming = prices.coming(mine)
    if not coming:
        return None
    plan, add_on = coming[0], coming[1] if len(coming) > 1 else None
    assert isinstance(plan, Plan)
    assert add_on is None or isinstance(add_on, AddOn)
    return plan, add_on


def month(sold: Plan | AddOn, start: datetime, end: datetime, amount: int | None = None) -> Line:
    """The line of a whole period, by the list or at that many nano-dollars; in whole cents."""
    cost = whole_cents(sold.price if amount is None else amount)
    return Line(f"{sold.name}, {start:%d %b %Y} to {end:%d %b %Y}", cost)


def to_plan(mine: Subscription | None, *, plan: Plan, now: datetime) -> Quote:
    """Whichever of the three leads to a plan. Raises as they do."""
    if mine is None or buys_trial(mine, plan) or (not mine.plan.price and mine.plan != plan):
        return subscribe(mine, plan=plan, now=now)
    change = downgrade if plan.price < mine.plan.price else upgrade
    return change(mine, plan=plan, now=now)


def subscribe(mine: Subscription | None, *, plan: Plan, now: datetime) -> Quote:
    """A first plan. Raises Conflict `already_subscribed`, BadRequest `not_for_sale`."""
    _for_sale(plan)
    if mine is None:
        end = periods.first_end(now)
        whole = month(plan, now, end)
        return Quote("subscribe", plan, None, now, end, now, plan.price, (whole,))
    if buys_trial(mine, plan):
        return _out_of_trial(mine, plan, now)
    if mine.plan.price:
        raise errors.Conflict(
            f"You are on {mine.plan} already: upgrade or downgrade.", code="already_subscribed"
        )
    return _to_plan("subscribe", mine, plan, now)


def buys_trial(mine: Subscription | None, plan: Plan) -> bool:
    """Whether it is the plan this account has on trial."""
    return mine is not None and mine.on_trial and mine.plan == plan


def replaces_trial(mine: Subscription | None, plan: Plan) -> bool:
    """Whether a first month of that plan, by card, may begin in place of what is on trial.

    An add-on beside the trial was paid from the balance, so it goes on there.
    """
    free = mine is not None and mine.on_trial and mine.add_on_id is None
    return free and plan.active and not plan.is_default


def by_card(mine: Subscription | None, *, plan: Plan, now: datetime) -> Quote:
    """A first month by card, also in place of a trial of another plan. Raises as `subscribe`."""
    if mine is not None and mine.plan != plan and replaces_trial(mine, plan):
        return subscribe(None, plan=plan, now=now)
    return subscribe(mine, plan=plan, now=now)


def _out_of_trial(mine: Subscription, plan: Plan, now: datetime) -> Quote:
    """The trial ends now and the month begins. Its add-on goes on, and what is paid counts."""
    if mine.period_end <= now:
        raise _unpaid()
    end, add_on = periods.first_end(now), mine.add_on
    lines = [month(plan, now, end)]
    if add_on is not None:
        lines.append(Line(f"Unused time on {add_on}", -_share(mine, mine.add_on_price, now)))
        lines.append(month(add_on, now, end))
    paid = tuple(line for line in lines if line.amount)
    return Quote("subscribe", plan, add_on, now, end, now, price(plan, add_on), paid)


def upgrade(mine: Subscription | None, *, plan: Plan, now: datetime) -> Quote:
    """A dearer plan, now. Raises Conflict, BadRequest (`not_an_upgrade`, `not_for_sale`)."""
    if buys_trial(mine, plan):
        return subscribe(mine, plan=plan, now=now)
    mine = _other_plan(mine, plan)
    if plan.price < mine.plan.price:
        raise errors.BadRequest(
            f"{plan} is cheaper than {mine.plan}: downgrade.", code="not_an_upgrade", param="plan"
        )
    return _to_plan("upgrade", mine, plan, now)


def downgrade(mine: Subscription | None, *, plan: Plan, now: datetime) -> Quote:
    """A cheaper plan, at the end of the period. Raises Conflict, BadRequest `not_a_downgrade`."""
    mine = _other_plan(mine, plan)
    if plan.price >= mine.plan.price:
        raise errors.BadRequest(
            f"{plan} is not cheaper than {mine.plan}.", code="not_a_downgrade", param="plan"
        )
    start, end, add_on = mine.period_start, mine.period_end, _kept_add_on(mine)
    cost = renewal(mine, plan, add_on)
    return Quote("downgrade", plan, add_on, start, end, starts_at=end, renewal=cost)


def add(mine: Subscription | None, *, add_on: AddOn, default: Plan, now: datetime) -> Quote:
    """An add-on in place of the present one: now, or if it is cheaper when the period ends.

    Without a plan it multiplies the default's. The present one again goes on after its end was
    decided, at no cost; else Conflict `add_on_active`. Raises BadRequest `not_for_sale`,
    PaymentRequired `renewal_unpaid`, Conflict `ends` where a cheaper one would never begin.
    """
    if mine is not None and mine.add_on == add_on:
        if not mine.add_on_ends and mine.next_add_on is None:
            raise errors.Conflict(f"{add_on} is active already.", code="add_on_active")
        return _of_add_on("keep", mine, add_on, now)
    if not add_on.active:
        raise _not_for_sale(add_on, "add_on")
    if mine is None:
        end = periods.first_end(now)
        whole = month(add_on, now, end)
        return Quote("add", default, add_on, now, end, now, add_on.price, (whole,))
    if mine.add_on and add_on.price < (mine.add_on_price or mine.add_on.price):
        if mine.cancel_at_period_end:
            raise errors.Conflict("It ends with the period: resume it first.", code="ends")
        return _of_add_on("swap_later", mine, add_on, mine.period_end)
    lines = _swap(mine, mine.add_on, mine.add_on_price, add_on, now)
    return _of_add_on("swap" if mine.add_on else "add", mine, add_on, now, lines)


def _of_add_on(
    action: str, mine: Subscription, add_on: AddOn, at: datetime, lines: tuple[Line, ...] = ()
) -> Quote:
    coming = mine.next_plan or mine.plan
    cost = None if mine.cancel_at_period_end else renewal(mine, coming, add_on)
    return Quote(action, mine.plan, add_on, mine.period_start, mine.period_end, at, cost, lines)


def _kept_add_on(mine: Subscription) -> AddOn | None:
    return None if mine.add_on_ends else mine.next_add_on or mine.add_on


def unused(mine: Subscription, now: datetime) -> tuple[Line, ...]:
    """What is credited if a subscription ends before its time, rounded once a line."""
    paid: Iterable[tuple[Plan | AddOn | None, int]] = (
        (mine.plan, mine.plan_price),
        (mine.add_on, mine.add_on_price),
    )
    lines = (Line(f"Unused time on {sold}", -_share(mine, cost, now)) for sold, cost in paid)
    return tuple(line for line in lines if line.amount)


def _other_plan(mine: Subscription | None, plan: Plan) -> Subscription:
    if mine is None:
        raise NotSubscribed("You have no plan yet: subscribe.")
    if plan == mine.plan:
        raise errors.Conflict(f"You are on {plan} already.", code="already_subscribed")
    _for_sale(plan)
    return mine


def _for_sale(plan: Plan) -> None:
    if not plan.active:
        raise _not_for_sale(plan, "plan")
    if plan.is_default:
        raise errors.BadRequest(
            f"{plan} is what everybody has without a plan: cancel yours to go back to it.",
            code="not_for_sale",
            param="plan",
        )


def _not_for_sale(sold: Plan | AddOn, param: str) -> errors.BadRequest:
    return errors.BadRequest(f"{sold} is no longer sold.", code="not_for_sale", param=param)


def _to_plan(action: str, mine: Subscription, plan: Plan, now: datetime) -> Quote:
    lines = _swap(mine, mine.plan, mine.plan_price, plan, now)
    add_on = _kept_add_on(mine)
    cost = renewal(mine, plan, add_on)
    return Quote(action, plan, add_on, mine.period_start, mine.period_end, now, cost, lines)


def _swap(
    mine: Subscription, old: Plan | AddOn | None, paid: int, new: Plan | AddOn, now: datetime
) -> tuple[Line, ...]:
    """Count the old one's unused time, charge the new one's. Together they are rounded once.

    Where the list has fallen below what was paid nothing is due, and nothing given back.
    """
    if mine.period_end <= now:
        raise _unpaid()
    credited = _share(mine, paid, now)
    due = _share(mine, max(new.price - paid, 0), now)
    lines = (
        Line(f"Unused time on {old}", -credited),
        Line(f"{new} until {mine.period_end:%d %b %Y}", due + credited),
    )
    return tuple(line for line in lines if line.amount)


def _unpaid() -> errors.PaymentRequired:
    return errors.PaymentRequired(
        "Your renewal is not paid yet. Top up first.", code="renewal_unpaid"
    )


def _share(mine: Subscription, amount: int, now: datetime) -> int:
    return periods.share(amount, start=mine.period_start, end=mine.period_end, now=now)
