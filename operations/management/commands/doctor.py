"""manage.py doctor: look at everything, say what is wrong, and exit with 1 if something is."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from operations.doctor.checks import CHECKS, examine
from operations.doctor.findings import Level


class Command(BaseCommand):
    help = "Check settings, stores, clocks, backups, mail, TLS, webhooks, vendors and processes."
    requires_system_checks: list[str] = []  # they are one of ours

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="as a list of objects")
        parser.add_argument("--only", action="append", choices=sorted(CHECKS), metavar="CHECK")
        parser.add_argument("--strict", action="store_true", help="warnings are failures")

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["only"] or list(CHECKS)
        found = []
        for name, finding in examine(names):
            found.append({"check": name, "level": str(finding.level), "text": finding.text})
            if not options["json"]:
                self.stdout.write(f"{finding.level:8} {name:10} {finding.text}")
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=1))
        bad = {Level.FAILING, Level.WARNING} if options["strict"] else {Level.FAILING}
        if count := sum(each["level"] in bad for each in found):
            raise CommandError(f"{count} of {len(found)} findings need somebody.")
