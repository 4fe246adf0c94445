"""What keys have spent in a UTC day, in a UTC month and ever, as the rollups have it."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from gateway.usage.models import UsageHour


class Spent(NamedTuple):
    """Nano-dollars."""

    day: int
    month: int
    life: int


def recorded(user_id: int, keys: Collection[int], day: datetime, month: datetime) -> Spent:
    """Of the day and the month that began then, and of all hours there are: rollups are kept for
    ever."""
    sums = UsageHour.objects.filter(user_id=user_id, api_key_id__in=keys).aggregate(
        day=Coalesce(Sum("cost", filter=Q(hour__gte=day)), 0),
        month=Coalesce(Sum("cost", filter=Q(hour__gte=month)), 0),
        life=Coalesce(Sum("cost"), 0),
    )
    return Spent(**sums)
