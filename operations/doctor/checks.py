"""All there is to check, in the order in which one would look."""

from collections.abc import Iterator

from django.db import connection

from operations.doctor import growth, outside, stores, vietnam, work
from operations.doctor.findings import Check, Finding, failing

CHECKS: dict[str, Check] = {
    "settings": stores.configuration,
    "database": stores.database,
    "migrations": stores.migrations,
    "valkey": stores.valkey,
    "clocks": stores.clocks,
    "disk": stores.disk,
    "backups": stores.backups,
    "months": growth.months_ahead,
    "archive": growth.archive,
    "settlement": work.settlement,
    "worker": work.worker,
    "books": work.books,
    "front door": outside.front_door,
    "tls": outside.tls,
    "webhooks": outside.webhooks,
    "bank transfers": vietnam.bank_transfers,
    "e-invoices": vietnam.e_invoices,
    "mail": outside.mail,
    "vendors": outside.vendors,
}


def examine(names: list[str]) -> Iterator[tuple[str, Finding]]:
    """The findings of these checks. What raises is failing: it could not even be asked."""
    for name in names:
        try:
            for finding in CHECKS[name]():
                yield name, finding
        except Exception as error:
            yield name, failing(f"it cannot be checked: {type(error).__name__}: {error}")
            connection.close_if_unusable_or_obsolete()
