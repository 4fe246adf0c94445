"""From what is seen to what staff hear: once, unless it doubles.

open          new, or closed and now twice what was told: staff are told
acknowledged  somebody looks into it; nobody is told again until it doubles
closed        by staff, with a note, or by itself where it is gone
"""

import logging
from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from cockpit.watch import rules
from cockpit.watch.looking import LOOKS, Seen
from cockpit.watch.models import Finding, Kind, Rule

logger = logging.getLogger(__name__)

State = Finding.State
GONE = "It is gone."


def look(now: datetime) -> int:
    """Ask every rule that is on; how many findings are news. One's trouble is not the others'."""
    rules.seed()
    news = 0
    for kind in Rule.objects.filter(active=True).values_list("pk", flat=True):
        try:
            news += look_at(kind, now)
        except Exception:
            logger.exception("watch.failed %s", kind)
    return news


@transaction.atomic
def look_at(kind: str, now: datetime) -> int:
    """One rule; how many of its findings are news. Two at once look one after the other."""
    rule = Rule.objects.select_for_update().get(pk=kind)
    seen = {each.subject: each for each in LOOKS[kind](rule, now)}
    known = {row.subject: row for row in Finding.objects.filter(kind=kind, subject__in=seen)}
    news = sum(_note(rule, each, known.get(each.subject), now) for each in seen.values())
    if rules.MEANINGS[Kind(kind)].gone:
        _over(kind, seen, now)
    Rule.objects.filter(pk=kind).update(looked_at=now)
    return news


def _note(rule: Rule, seen: Seen, known: Finding | None, now: datetime) -> bool:
    """Keep it. True if staff are to hear of it."""
    found = known or Finding(kind=rule.kind, subject=seen.subject, first_at=now, told=0)
    back = found.state == State.CLOSED and found.note == GONE and not found.by
    news = known is None or back or seen.number >= 2 * found.told_number
    found.text, found.number, found.last_at = seen.text[:500], seen.number, now
    found.users, found.link = seen.users, seen.link[:500]
    if news:
        found.told_number, found.told = seen.number, found.told + 1
        found.mail_due, found.hook_due = rule.mail, bool(rule.webhook)
        found.attempts, found.retry_at, found.problem = 0, now, ""
        if found.state == State.CLOSED:
            found.state, found.by, found.note = State.OPEN, "", ""
    found.save()
    return news


def _over(kind: str, seen: Iterable[str], now: datetime) -> None:
    """What is not so any more."""
    there = Finding.objects.filter(kind=kind).exclude(state=State.CLOSED)
    there.exclude(subject__in=list(seen)).update(state=State.CLOSED, note=GONE, by="")


def decide(found: Finding, state: str, *, by: str, note: str = "") -> bool:
    """Staff acknowledge, close or reopen it. False if it was so already."""
    changed = Finding.objects.filter(pk=found.pk).exclude(state=state)
    quiet = {} if state == State.OPEN else {"mail_due": False, "hook_due": False}
    return bool(changed.update(state=state, by=by, note=note, **quiet))
