"""How much a key may spend in ten minutes: what its owner set, or so many times what it spent
before.

Its history is the busiest hour of the last seven days, this one left out: a sixth of it is what
ten minutes of it cost. A key that has hardly any may spend FLOOR all the same.
"""

from datetime import datetime, timedelta

from django.db.models import Max, Sum

from accounts.models import ApiKey
from gateway.usage.models import UsageHour
from hontoni.money import DOLLAR

HISTORY = timedelta(days=7)
FLOOR = DOLLAR
_TEN_MINUTES = 6  # in an hour


def bound(key: ApiKey, now: datetime) -> int:
    """Nano-dollars; 0: it has no such brake. Of two the lower."""
    bounds = [key.brake_spend] if key.brake_spend else []
    if key.brake_times:
        bounds.append(max(key.brake_times * _before(key, now) // _TEN_MINUTES, FLOOR))
    return min(bounds, default=0)


def _before(key: ApiKey, now: datetime) -> int:
    """What its busiest hour cost, and of what it was rotated from or to."""
    this = now.replace(minute=0, second=0, microsecond=0)
    theirs = ApiKey.objects.related(key).values_list("pk", flat=True)
    hours = UsageHour.objects.filter(
        user_id=key.user_id, api_key_id__in=list(theirs), hour__gte=this - HISTORY, hour__lt=this
    )
    by_hour = hours.values("hour").annotate(total=Sum("cost"))
    return int(by_hour.aggregate(most=Max("total"))["most"] or 0)
