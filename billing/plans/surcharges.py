"""What requests past a window cost more: a rise is announced first, a fall binds at once.

Always true:

1. Nobody pays a higher surcharge of their plan before PRICE_NOTICE_DAYS are over from when it was
   changed. Whoever has a key that may go past a window is told in that very transaction.
2. What was announced and is lowered again, before it binds, binds at the same moment as so much
   less; what is raised once more waits anew.
3. The plan that becomes the default is a rise, too, for everybody whom it takes over.
"""

from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import ApiKey
from billing.mails import notices
from billing.mails.models import Notice
from billing.plans.models import Plan
from hontoni.money import per_cent

_BATCH = 1_000


def raised(plan: Plan, before: Plan, now: datetime) -> bool:
    """Let a surcharge that staff have written into `plan`, over what it was `before`, bind as
    above once it is saved. Whether there is something to `tell`."""
    if plan.overflow_surcharge <= before.surcharge_now(now):
        plan.surcharge_before = plan.surcharge_rises_at = None
        return False
    if before.surcharge_coming(now) and plan.overflow_surcharge <= before.overflow_surcharge:
        return False  # it was announced, and as more
    plan.surcharge_before = before.surcharge_now(now)
    plan.surcharge_rises_at = now + timedelta(days=settings.PRICE_NOTICE_DAYS)
    return True


def taken_over(plan: Plan, before: Plan, now: datetime) -> bool:
    """The same of a plan that becomes the default in the place of `before`: whom it takes over
    pays no more at once, and who has it already no sooner than they were told."""
    paid = before.surcharge_now(now)
    if plan.overflow_surcharge <= paid:
        return False
    plan.surcharge_before = min(plan.surcharge_now(now), paid)
    plan.surcharge_rises_at = now + timedelta(days=settings.PRICE_NOTICE_DAYS)
    return True


def tell(plan: Plan) -> int:
    """Everybody on a plan whose surcharge rises, and who has a key it may cost. How many."""
    assert plan.surcharge_before is not None and plan.surcharge_rises_at is not None
    facts = {
        "plan": plan.name,
        "old": per_cent(int(plan.surcharge_before * 100)),
        "new": per_cent(int(plan.overflow_surcharge * 100)),
        "from_at": plan.surcharge_rises_at.isoformat(),
    }
    name = f"surcharge_rises:{plan.pk}:{facts['new']}:{facts['from_at']}"
    keys = ApiKey.objects.filter(revoked_at=None, user__in=plan.accounts())
    pay = list(
        keys.exclude(overflow_cap=None).order_by("user_id").values_list("user_id", flat=True)
    )
    whom = list(dict.fromkeys(pay))
    for start in range(0, len(whom), _BATCH):
        notices.tell_all(
            Notice(user_id=each, kind="surcharge_rises", key=f"{name}:{each}", facts=facts)
            for each in whom[start : start + _BATCH]
        )
    return len(whom)


def coming(plan: Plan) -> dict[str, str] | None:
    """Of a surcharge that rises: what it will be (per cent), and when; for programs."""
    if plan.rise is None:
        return None
    points, at = plan.rise
    return {"percent": per_cent(points), "from": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
