"""What one key or one model has cost its customer lately, for the page of either; and what each
day has, for the page of the money."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import QueryDict
from django.utils import timezone

from accounts.models import ApiKey
from gateway.dashboard import figures
from gateway.dashboard.selection import Selection
from gateway.usage import overflow

register = template.Library()


@register.inclusion_tag("gateway/_own_usage.html")
def own_usage(user_id: int, by: str, **narrowed: Any) -> dict[str, Any]:
    """Sums, a chart and groups of 30 days, of a `key` or a `model`, split by what `by` is."""
    chosen = Selection.of(QueryDict(urlencode({"days": "30", "by": by, **narrowed})))
    return {
        **figures.of(user_id, chosen, timezone.now()),
        "filters": chosen,
        "url": chosen.url(),
    }


@register.simple_tag
def overflow_spent(key: ApiKey) -> int:
    """What it spent past its plan's windows this month, in nano-dollars."""
    mine = ApiKey.objects.related(key).values_list("pk", flat=True)
    return overflow.spent(list(mine), overflow.month_of(datetime.now(UTC)))


@register.inclusion_tag("gateway/_usage_by_day.html")
def usage_by_day(user_id: int) -> dict[str, Any]:
    """The last days with usage, each leading to its requests."""
    chosen = Selection.of(QueryDict("days=30&by=day&compare=none"))
    found = figures.of(user_id, chosen, timezone.now())
    return {"groups": found["groups"], "url": chosen.url()}
