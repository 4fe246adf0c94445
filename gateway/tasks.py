"""What the worker does for the gateway. Usage is not written here: that is `manage.py settle`."""

import logging
from typing import Any

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from gateway.archive import expiry
from gateway.archive.dropping import MONTHLY
from gateway.batches import closing
from gateway.pricing import announcements, proposals
from gateway.reconciliation import counters, invariants, proven_months
from gateway.reconciliation.vendors import daily_round, margin_alarms
from gateway.usage import ledger_roots, refusals
from hontoni import health, partitions

logger = logging.getLogger(__name__)

_SUNDAY = 6  # every row is read again


@shared_task(expires=1)
def drain_usage(**_: Any) -> None:
    """Of the release before, whose beat may still ask for it; settlement has its own process."""


@shared_task(expires=10)
def keep_house(**_: Any) -> None:
    """Likewise."""


@shared_task(expires=60)
def watch_settlement(**_: Any) -> None:
    """Say loudly that usage is not being written, for as long as it is not."""
    for part, problem in health.alarms().items():
        logger.critical("alarm %s: %s", part, problem)


@shared_task(expires=30)
def say_alive(**_: Any) -> None:
    """The worker works, and beat asks."""
    health.worker_beat()


@shared_task(expires=3600)
def reconcile(**_: Any) -> None:
    """Compare every total with what it is made of, and say loudly what differs."""
    now = timezone.now()
    proof = invariants.prove(whole=now.weekday() == _SUNDAY)
    health.note_reconcile(len(proof.found))
    for problem in proof.found:
        logger.critical("alarm books: %s", problem)
    if not proof.found:
        proven_months.keep(now, renewed=proof.whole)


@shared_task(expires=1800)
def reconcile_counters(**_: Any) -> None:
    """What Valkey counts beside the books; staff hear of a difference, and it is repaired."""
    counters.look()


@shared_task(expires=6 * 3600)
def keep_retention(**_: Any) -> None:
    """Months are made ahead, and those that are old enough go into the archive."""
    now = timezone.now()
    for each in partitions.make_all_ahead(MONTHLY, now):
        logger.info("partitions.made %s", each)
    for checkpoint in expiry.run(now):
        logger.info("archive.took %s", checkpoint)


@shared_task(expires=3600)
def root_ledger(**_: Any) -> int:
    """What was booked gets a root that is published; how many roots."""
    return ledger_roots.make(timezone.now())


@shared_task
def forget_refusals(**_: Any) -> None:
    """Refusals are kept for a month."""
    refusals.forget()


@shared_task(expires=1800)
def forget_files(**_: Any) -> None:
    """Files and results of batches are kept for as long as their owners were told."""
    if gone := closing.forget_expired(timezone.now()):
        logger.info("files.forgotten %d", gone)


@shared_task(expires=3600)
def compare_vendor_bills(**_: Any) -> None:
    """The vendors' reports of the last days, beside the books; and what the days have earned."""
    daily_round.daily()
    margin_alarms.look(*daily_round.span())


@shared_task(expires=600)
def announce_catalogue(**_: Any) -> int:
    """Tell customers of models that end, and of prices that rise; how many mails that makes."""
    now = timezone.now()
    told = announcements.ends(now) + announcements.rises(now) + announcements.own_ends(now)
    return told + announcements.own_key_fees_rise(now)


@shared_task(expires=3600)
def sync_catalogue(**_: Any) -> None:
    """What public sources say, as proposals: only where staff want that."""
    if settings.CATALOGUE_SYNC:
        logger.info("catalogue.synced: %s", proposals.sync(offline=False))
