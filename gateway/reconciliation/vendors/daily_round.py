"""The daily round: the vendors' reports of the last days, and a look at what they differ in."""

import logging
from argparse import ArgumentParser
from datetime import UTC, date, datetime, timedelta

from gateway.reconciliation.vendors import alarms, report_fetching
from gateway.reconciliation.vendors.comparison import Difference
from gateway.reconciliation.vendors.formats.report import BadReport
from gateway.reconciliation.vendors.models import ReportSource
from gateway.vendors import vault

logger = logging.getLogger(__name__)


def add_days(parser: ArgumentParser) -> None:
    """The options of a command about a range of days."""
    for option, dest, said in (
        ("--from", "first", "first day, UTC"),
        ("--to", "last", "last day"),
    ):
        parser.add_argument(
            option, dest=dest, type=date.fromisoformat, metavar="YYYY-MM-DD", help=said
        )


def span(first: date | None = None, last: date | None = None) -> tuple[date, date]:
    """The days that are asked for; usually the last ones that have ended."""
    last = last or datetime.now(UTC).date() - timedelta(days=1)
    return first or last - timedelta(days=report_fetching.BACK_DAYS - 1), last


def fetch_all(first: date, last: date, *, by: str) -> tuple[int, list[str]]:
    """From every source. Returns how many imports were made, and what failed in words; one
    vendor's failure is not another's."""
    imported, problems = 0, []
    for source in ReportSource.objects.filter(active=True):
        try:
            imported += len(report_fetching.fetch(source, first, last, by=by))
        except (BadReport, vault.Unreadable) as error:
            logger.error("vendorbills.fetch_failed %s: %s", source, error)
            problems.append(f"{source}: {error}")
    return imported, problems


def daily() -> list[Difference]:
    """Nothing where no source is set up and nothing was imported."""
    first, last = span()
    fetch_all(first, last, by="worker")
    return alarms.look(first, last)
