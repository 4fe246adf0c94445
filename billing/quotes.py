"""What a change of plan or add-on costs, and when it happens. Nothing here reads or changes.

* What is dearer starts now; its price, less what the present one cost, is due for the rest of the
  period: `periods.share` of the difference, by seconds, rounded half up once, to whole cents.
* What is cheaper starts when the period that is paid ends. An add-on is swapped now either way.
* Prices already paid are the ones of this period's sale; a renewal costs what the list says then.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from billing import periods
from billing.invoices import Line
from billing.models import AddOn, Plan, Subscription
from hontoni import errors
from hontoni.money import whole_cents


class NotSubscribed(errors.Conflict):
    code = "not_subscribed"


@dataclass(frozen=True, slots=True)
class Quote:
    """Amounts are nano-dollars; `due_now` is below zero if time that is paid is credited.

    `plan` and `add_on` are what it renews as.
    """

    action: str
    plan: Plan
    add_on: AddOn | None
    period_start: datetime
    period_end: datetime
    starts_at: datetime
    lines: tuple[Line, ...] = ()

    @property
    def due_now(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def renewal(self) -> int:
        """What the next period costs, if nothing changes until then."""
        return price(self.plan, self.add_on)


def price(plan: Plan, add_on: AddOn | None) -> int:
    """Of a month, by the list."""
    return whole_cents(plan.price) + (whole_cents(add_on.price) if add_on else 0)


def renewal(mine: Subscription, plan: Plan, add_on: AddOn | None) -> int:
    """What the next period costs: by the list, or what was agreed with Stripe."""
    if mine.payment_method != Subscription.PaymentMethod.STRIPE or mine.next_payment_method:
        return price(plan, add_on)
    kept = mine.plan_price if plan == mine.plan else plan.price
    return kept + (mine.add_on_price if add_on and add_on == mine.add_on else 0)


def next_period(mine: Subscription) -> tuple[Plan, AddOn | None] | None:
    """What a subscription renews as, or None if it ends with its period."""
    plan = mine.next_plan or mine.plan
    add_on = None if mine.add_on_ends else mine.add_on
    if mine.cancel_at_period_end or (plan.is_default and add_on is None):
        return None
    return plan, add_on


def month(sold: Plan | AddOn, start: datetime, end: datetime) -> Line:
    """The line of a whole period."""
    return Line(f"{sold.name}, {start:%d %b %Y} to {end:%d %b %Y}", whole_cents(sold.price))


def to_plan(mine: Subscription | None, *, plan: Plan, now: datetime) -> Quote:
    """Whichever of the three leads to a plan. Raises as they do."""
    if mine is None or (not mine.plan.price and mine.plan != plan):
        return subscribe(mine, plan=plan, now=now)
    change = downgrade if plan.price < mine.plan.price else upgrade
    return change(mine, plan=plan, now=now)


def subscribe(mine: Subscription | None, *, plan: Plan, now: datetime) -> Quote:
    """A first plan. Raises Conflict `already_subscribed`, BadRequest `not_for_sale`."""
    _for_sale(plan)
    if mine is None:
        end = periods.first_end(now)
        return Quote("subscribe", plan, None, now, end, now, (month(plan, now, end),))
    if mine.plan.price:
        raise errors.Conflict(
            f"You are on {mine.plan} already: upgrade or downgrade.", code="already_subscribed"
        )
    return _to_plan("subscribe", mine, plan, now)


def upgrade(mine: Subscription | None, *, plan: Plan, now: datetime) -> Quote:
    """A dearer plan, now. Raises Conflict, BadRequest (`not_an_upgrade`, `not_for_sale`)."""
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
    start, end = mine.period_start, mine.period_end
    add_on = None if mine.add_on_ends else mine.add_on
    return Quote("downgrade", plan, add_on, start, end, starts_at=end)


def add(mine: Subscription | None, *, add_on: AddOn, default: Plan, now: datetime) -> Quote:
    """An add-on, now, in place of the present one. Without a plan it multiplies the default's.

    The present one again goes on after its end was decided, at no cost; else Conflict
    `add_on_active`. Raises BadRequest `not_for_sale`, PaymentRequired `renewal_unpaid`.
    """
    if mine is not None and mine.add_on == add_on:
        if not mine.add_on_ends:
            raise errors.Conflict(f"{add_on} is active already.", code="add_on_active")
        return Quote("keep", mine.plan, add_on, mine.period_start, mine.period_end, now)
    if not add_on.active:
        raise _not_for_sale(add_on, "add_on")
    if mine is None:
        end = periods.first_end(now)
        return Quote("add", default, add_on, now, end, now, (month(add_on, now, end),))
    lines = _swap(mine, mine.add_on, mine.add_on_price, add_on, now)
    action = "swap" if mine.add_on else "add"
    return Quote(action, mine.plan, add_on, mine.period_start, mine.period_end, now, lines)


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
    add_on = None if mine.add_on_ends else mine.add_on
    return Quote(action, plan, add_on, mine.period_start, mine.period_end, now, lines)


def _swap(
    mine: Subscription, old: Plan | AddOn | None, paid: int, new: Plan | AddOn, now: datetime
) -> tuple[Line, ...]:
    """Credit the old one's unused time, charge the new one's. Together they are rounded once."""
    if mine.period_end <= now:
        raise errors.PaymentRequired(
            "Your renewal is not paid yet. Top up first.", code="renewal_unpaid"
        )
    credited = _share(mine, paid, now)
    due = _share(mine, new.price - paid, now)
    lines = (
        Line(f"Unused time on {old}", -credited),
        Line(f"{new} until {mine.period_end:%d %b %Y}", due + credited),
    )
    return tuple(line for line in lines if line.amount)


def _share(mine: Subscription, amount: int, now: datetime) -> int:
    return periods.share(amount, start=mine.period_start, end=mine.period_end, now=now)
