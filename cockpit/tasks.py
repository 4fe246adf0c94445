"""What the worker does for the cockpit. Any of it may run twice, or at once."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from cockpit import announcing, daily
from cockpit.watch import findings, telling


@shared_task(expires=240)
def sum_days(**_: Any) -> int:
    """Sum the days that are over; how many."""
    return daily.catch_up(timezone.now())


@shared_task(expires=240)
def watch(**_: Any) -> int:
    """Ask every rule, and tell staff what is news; how much was."""
    news = findings.look(timezone.now())
    telling.tell_all(timezone.now())
    return news


@shared_task(expires=50)
def tell(**_: Any) -> int:
    """Tell again what could not be told; how many findings."""
    return telling.tell_all(timezone.now())


@shared_task(expires=50)
def announce(**_: Any) -> int:
    """Announcements that have begun, to whom they concern; how many were told."""
    return announcing.announce(timezone.now())
