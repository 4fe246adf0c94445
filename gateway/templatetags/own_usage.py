"""What one key or one model has cost its customer lately, for the page of either."""

from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import QueryDict
from django.utils import timezone

from gateway.dashboard import figures
from gateway.dashboard.selection import Selection

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
