"""What an account may do now: its plan, times its add-on, and what it has to spend.

A gateway's snapshot is made of this. Whoever changes a plan, an add-on or a subscription calls
`apply` (or `apply_plan`, `apply_add_on`) in the same transaction, and every node follows.
"""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ImproperlyConfigured
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import User
from accounts.people import terms as accounts_terms
from billing.books import ledger
from billing.plans import surcharges
from billing.plans.models import AddOn, LimitRaise, Plan, ResetPass, Subscription
from ratelimits.limiter import Limits

_NO_DEFAULT = "No plan is the default: run `manage.py seed`."
_BATCH = 1_000  # a statement names so many accounts at most


@dataclass(frozen=True, slots=True)
class Terms:
    """Amounts are nano-dollars; `limits` are already multiplied, `thinking_budget` never is."""

    plan: str
    plan_name: str
    limits: Limits
    thinking_budget: int
    subject: str
    key_cap: int
    multiplier: int
    credits_total: int
    credits_version: int
    settled_total: int
    overflow_surcharge: int  # basis points
    reset: int  # when the windows were last reset, in ms by Redis's clock; 0: never


def terms(user_id: int) -> Terms:
    """Two queries. Raises ImproperlyConfigured where no plan is the default."""
    wallet = ledger.wallet(user_id)
    plan, multiplier, reset_at = _plan(user_id)
    return Terms(
        plan=plan.slug,
        plan_name=plan.name,
        limits=limits(plan, multiplier),
        thinking_budget=plan.thinking_budget,
        subject=plan.subject,
        key_cap=plan.key_cap,
        multiplier=multiplier,
        credits_total=wallet.credits_total,
        credits_version=wallet.credits_version,
        settled_total=wallet.settled_total,
        overflow_surcharge=plan.surcharge,
        reset=int(reset_at.timestamp() * 1000) if reset_at else 0,
    )


def plan_of(user_id: int) -> tuple[Plan, int]:
    """The plan an account is on, and by how much its add-on and what staff raised multiply its
    limits. One query."""
    return _plan(user_id)[:2]


def _plan(user_id: int) -> tuple[Plan, int, datetime | None]:
    """The same, and when its windows were last reset."""
    live = Subscription.objects.filter(user_id=user_id, status__in=Subscription.LIVE)
    multiplier = Subquery(live.values("add_on__multiplier")[:1])
    raised = LimitRaise.objects.filter(user_id=user_id, ended_at=None, until__gt=timezone.now())
    resets = ResetPass.objects.filter(user_id=user_id).order_by("-reset_at")
    plan = (
        Plan.objects.annotate(
            subscribed=Exists(live.filter(plan_id=OuterRef("pk"))),
            multiplier=Coalesce(multiplier, 1)
            * Coalesce(Subquery(raised.values("multiplier")[:1]), 1),
            reset_at=Subquery(resets.values("reset_at")[:1]),
        )
        .filter(Q(subscribed=True) | Q(is_default=True))
        .order_by("-subscribed")
        .first()
    )
    if plan is None:
        raise ImproperlyConfigured(_NO_DEFAULT)
    return plan, plan.multiplier, plan.reset_at


def default_plan() -> Plan:
    """What an account without a subscription is on. Raises ImproperlyConfigured."""
    plan = Plan.objects.filter(is_default=True).first()
    if plan is None:
        raise ImproperlyConfigured(_NO_DEFAULT)
    return plan


def subscription_of(user_id: int) -> Subscription | None:
    """The live subscription of an account, with its plans and its add-on."""
    live = Subscription.objects.filter(user_id=user_id, status__in=Subscription.LIVE)
    return live.select_related("plan", "add_on", "next_plan", "next_add_on").first()


def limits(plan: Plan, multiplier: int = 1) -> Limits:
    """Every limit of the plan, times the add-on."""
    return Limits(**{name: getattr(plan, name) for name in Plan.LIMITS}).times(multiplier)


def apply(user_id: int) -> None:
    """Let the plan this account is on now take effect. Call it in the changing transaction."""
    with transaction.atomic():
        plan, _ = plan_of(user_id)
        User.objects.filter(pk=user_id).update(key_cap=plan.key_cap)
        accounts_terms.changed(user_id)


def apply_plan(plan: Plan) -> None:
    """Let what staff changed about a plan take effect, for everybody who is on it."""
    with transaction.atomic():
        users = plan.accounts()
        _changed(users)
        users.exclude(key_cap=plan.key_cap).update(key_cap=plan.key_cap)


def make_default(plan: Plan) -> None:
    """Let it take over from the plan that was the default, for everybody without a subscription.
    There is never a moment without one."""
    with transaction.atomic():
        before = Plan.objects.filter(is_default=True).exclude(pk=plan.pk).first()
        rises = before is not None and surcharges.taken_over(plan, before, timezone.now())
        Plan.objects.filter(is_default=True).exclude(pk=plan.pk).update(is_default=False)
        plan.is_default = plan.active = True
        plan.save(update_fields=["is_default", "active", "surcharge_before", "surcharge_rises_at"])
        apply_plan(plan)
        if rises:
            surcharges.tell(plan)


def apply_add_on(add_on: AddOn) -> None:
    """Let what staff changed about an add-on take effect, for everybody who has it."""
    live = Subscription.objects.filter(status__in=Subscription.LIVE, add_on=add_on)
    with transaction.atomic():
        _changed(User.objects.filter(pk__in=live.values("user_id")))


def _changed(users: models.QuerySet[User]) -> None:
    user_ids = list(users.values_list("pk", flat=True))
    for start in range(0, len(user_ids), _BATCH):
        accounts_terms.changed(*user_ids[start : start + _BATCH])
