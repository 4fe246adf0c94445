"""Who is about to run out, noticed where every request passes anyway: as usage is recorded.

It costs a batch one query, and another one only while somebody is near an end. What is noticed is
told in the transaction of the batch, under a key for each opening of a window: so once.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext_noop as _

from billing.mails import low_balance, notices
from billing.mails.models import Notice
from gateway.usage import cap_alerts

# How mails name the windows, and translate them; of a minute nobody wants mail.
WINDOWS = {
    "5h": _("in 5 hours"),
    "daily": _("a day"),
    "weekly": _("a week"),
    "monthly": _("in 30 days"),
}


def look(events: Iterable[Mapping[str, Any]]) -> None:
    """Tell of balances below their thresholds, of windows and of caps at 80 and at 100 %."""
    events = list(events)
    found: dict[str, dict[str, Any]] = {}
    charged = set()
    for event in events:
        found |= _windows(event)
        if event["cost"]:
            charged.add(event["user_id"])
    if found:
        known = set(Notice.objects.filter(key__in=found).values_list("key", flat=True))
        notices.tell_all(Notice(key=key, **found[key]) for key in sorted(found.keys() - known))
    if charged:
        low_balance.warn(charged)
        cap_alerts.look(events)


def _windows(event: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What to tell of one request's windows, by key. They are as its admission left them."""
    details = event.get("details", {})
    found: dict[str, dict[str, Any]] = {}
    if "windows_at" not in details:
        return found  # never admitted, drafted by a process that died, or by an older version
    for name, limit, used, reset_ms in details["windows"]:
        if name not in WINDOWS or not limit or used * 5 < limit * 4:
            continue
        # The window's end in Redis's clock is the same number for all of its requests.
        ends_ms = details["windows_at"] + reset_ms
        level = 100 if used >= limit else 80
        facts = {
            "window": WINDOWS[name],
            "limit": limit,
            "resets_at": datetime.fromtimestamp(ends_ms / 1000, UTC).isoformat(),
        }
        key = f"window:{event['user_id']}:{name}:{ends_ms}:{level}"
        found[key] = {"user_id": event["user_id"], "kind": f"window_{level}", "facts": facts}
    return found
