"""Import vendors' bills: `vendorbills import FILE…`, `vendorbills import --fetch`.

`vendorbills rebuild` makes what was booked by credential anew from the usage events, for days
before it was written with them.
"""

import os
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from gateway.reconciliation.vendors import alarms, daily_round, intake
from gateway.reconciliation.vendors.formats.report import BadReport
from gateway.reconciliation.vendors.models import DEFAULT_ACCOUNT, VendorImport
from gateway.usage import vendor_days
from hontoni.errors import ApiError


class Command(BaseCommand):
    help = "Import what vendors bill, from files or from the vendors; rebuild what was booked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        takes = verbs.add_parser("import", help="bills, from files or with --fetch")
        takes.add_argument("files", nargs="*", type=Path, metavar="FILE")
        takes.add_argument("--fetch", action="store_true", help="ask the vendors")
        takes.add_argument("--account", default=DEFAULT_ACCOUNT, help="whose the files are")
        rebuilds = verbs.add_parser("rebuild", help="what was booked, from the usage events")
        for each in (takes, rebuilds):
            daily_round.add_days(each)

    def handle(self, *args: Any, **options: Any) -> None:
        first, last = daily_round.span(options["first"], options["last"])
        if first > last:
            raise CommandError("--from is after --to.")
        if options["verb"] == "rebuild":
            try:
                count = vendor_days.rebuild(first, last)
            except ApiError as error:
                raise CommandError(str(error)) from error
            self.stdout.write(f"{count} requests from {first} to {last} are summed anew.")
            return
        if bool(options["files"]) == options["fetch"]:
            raise CommandError("Give files, or --fetch.")
        if options["fetch"]:
            self._fetch(first, last)
        else:
            imports = self._read(options["files"], options["account"])
            self._look(min(i.first_day for i in imports), max(i.last_day for i in imports))

    def _look(self, first: date, last: date) -> None:
        """Staff are mailed of what is new."""
        for each in alarms.look(first, last):
            self.stderr.write(f"unexplained: {alarms.sentence(each)}")

    def _fetch(self, first: date, last: date) -> None:
        imported, failed = daily_round.fetch_all(first, last, by=_who())
        self._look(first, last)
        self.stdout.write(f"{imported} reports from {first} to {last} imported.")
        if failed:
            raise CommandError("\n".join(failed))

    @transaction.atomic
    def _read(self, files: list[Path], account: str) -> list[VendorImport]:
        """All of them or none."""
        imports = []
        for path in files:
            try:
                found = intake.read_file(
                    path.read_bytes(), name=path.name, by=_who(), account=account
                )
            except (OSError, BadReport) as error:
                raise CommandError(f"{path}: {error} Nothing was imported.") from error
            self.stdout.write(f"{found}: {found.rows} bills, {found.changed} of them changed.")
            imports.append(found)
        return imports


def _who() -> str:
    return f"shell:{os.getuid()}"
