"""Why prompts were new to a vendor's cache, from what was counted anyway.

A vendor caches how prompts begin. A request whose prompt was mostly read from the cache, followed
by one of the same model that mostly was not, says that something changed: if only a few minutes
lay between them, the beginning of the prompt; else the cache had expired.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.urls import reverse
from django.utils.translation import gettext as _

from gateway.catalogue import snapshot
from gateway.usage import log, rollups
from gateway.usage.models import UsageEvent, UsageHour
from hontoni.templatetags.moments import short_local
from hontoni.templatetags.money import decimal

RECENT = timedelta(days=7)
_MANY_TOKENS = 200_000  # below it nobody needs to be told of caches
_LEAST_PROMPT = 1024  # what vendors cache at least
_LASTS = timedelta(minutes=5)
_MOST_EVENTS = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """What to look at, and a link to it."""

    text: str
    url: str = ""
    link: str = ""


def coaching(user_id: int, now: datetime) -> list[Notice]:
    """Keys of which half of the prompts or more was new, though cached it would be cheaper."""
    models = snapshot.load().models.items()
    cheaper = [name for name, model in models if model.price.rates[1] < model.price.rates[0]]
    rows = UsageHour.objects.filter(user_id=user_id, hour__gte=now - RECENT, model__in=cheaper)
    sums = {f"sum_{name}": Sum(name) for name in rollups.PROMPT}
    grouped: list[Any] = list(
        rows.order_by("api_key__name").values("api_key", "api_key__name").annotate(**sums)
    )
    found = (_of_key(user_id, row, now) for row in grouped)
    return [notice for notice in found if notice is not None]


def _of_key(user_id: int, row: dict[str, Any], now: datetime) -> Notice | None:
    prompt = sum(row[f"sum_{name}"] for name in rollups.PROMPT)
    new = prompt - row["sum_cache_read"]
    if prompt < _MANY_TOKENS or new * 2 < prompt:
        return None
    named = {"key": row["api_key__name"], "percent": decimal(rollups.percent(new, prompt))}
    turn = _last_turn(user_id, row["api_key"], now)
    if turn is None:
        return Notice(_none(row) % named)
    event, changed = turn
    url = reverse("usage-receipt", args=[event.request_id])
    named["time"] = short_local(event.created_at)
    return Notice((_changed() if changed else _expired()) % named, url, _("That request"))


def _none(row: dict[str, Any]) -> str:
    if row["sum_cache_write_5m"] + row["sum_cache_write_1h"] > row["sum_cache_read"]:
        return _(
            "%(percent)s %% of the prompt tokens of %(key)s were new this week, and more were "
            "written to the cache than read from it: the beginning of the prompts changes. "
            "Keep what stays the same (system prompt, tools) first, and dates or ids last."
        )
    return _(
        "%(percent)s %% of the prompt tokens of %(key)s were new this week: hardly any "
        "came from a cache, which is cheaper. Long prompts that begin alike are cached."
    )


def _changed() -> str:
    return _(
        "%(percent)s %% of the prompt tokens of %(key)s were new this week because the beginning "
        "of its prompts changed, last at %(time)s. Keep what stays the same (system prompt, "
        "tools) first, and dates or ids last."
    )


def _expired() -> str:
    return _(
        "%(percent)s %% of the prompt tokens of %(key)s were new this week because more than 5 "
        "minutes lay between requests, last before %(time)s, and the cache had expired. Requests "
        "that follow sooner, or a cache of an hour where the model has one, cost less."
    )


def _last_turn(user_id: int, key_id: int, now: datetime) -> tuple[UsageEvent, bool] | None:
    """The last request that was mostly new after one that was mostly cached, and whether what it
    began with had changed; None if there was none lately."""
    mine = UsageEvent.objects.filter(user_id=user_id)
    narrowed = log.narrowed(
        mine, user_id, {"api_key_id": key_id}, within=(now - RECENT, now), most=_MOST_EVENTS
    )
    later: dict[str, UsageEvent] = {}
    for event in narrowed[:_MOST_EVENTS]:  # the latest first
        if event.prompt_tokens < _LEAST_PROMPT or event.status >= 400:
            continue
        after = later.get(event.model)
        if after is not None and _is_new(after) and not _is_new(event):
            return after, after.created_at - event.created_at <= _LASTS
        later[event.model] = event
    return None


def _is_new(event: UsageEvent) -> bool:
    return event.cache_read * 2 < event.prompt_tokens
