"""Months to come, and months that are gone."""

from collections.abc import Iterator

from django.utils import timezone

from billing.books import checkpoints
from gateway.archive import expiry
from gateway.archive.dropping import MONTHLY
from hontoni import archive_files, months, partitions
from operations.doctor.findings import Finding, failing, ok, warning


def months_ahead() -> Iterator[Finding]:
    """That each table has its next month, and the net caught nothing."""
    if not all(partitions.is_partitioned(of.table) for of in MONTHLY):
        yield ok("the tables are not kept by month: this is SQLite")
        return
    now = timezone.now()
    for of in MONTHLY:
        ends = partitions.ends(of)
        text = f"{of.table} has months until {ends:%Y-%m-%d}"
        if ends <= months.shifted(months.begin(now), 1):
            yield failing(f"{text}: run `manage.py prepare`, and see that beat runs")
        elif partitions.has_rest(of):
            yield warning(f"{of.rest} has rows of months that nobody has made")
        else:
            yield ok(text)


def archive() -> Iterator[Finding]:
    """That old months went there, and it can be read."""
    waiting = [months.name(month) for month in expiry.due(timezone.now())]
    if waiting:
        yield warning(
            f"{', '.join(waiting)} should be in the archive: is beat running? "
            "`manage.py retention run` does it now"
        )
    last = checkpoints.newest()
    if last is None:
        yield ok("nothing is in the archive")
        return
    name = checkpoints.contents(last)["files"][0]["name"]
    with archive_files.store().open(name) as file:
        whole = file.read(4) == b"PAR1"
    if whole:
        yield ok(f"all until {months.name(months.of_day(last.month))} is in the archive")
    else:
        yield failing(f"{name} in ARCHIVE_URL is no Parquet file: old receipts cannot be read")
