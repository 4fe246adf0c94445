"""Prove the books: Σ entries = balances, rollups = events, Redis = database + unacknowledged.

With `--vendors` the vendors' bills are laid beside them.
"""

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from gateway.reconciliation import counters, invariants, proven_months
from gateway.reconciliation.vendors import daily_round
from gateway.reconciliation.vendors.alarms import sentence
from gateway.reconciliation.vendors.comparison import differences
from gateway.usage import vendor_days
from hontoni import health


class Command(BaseCommand):
    help = "Compare every total with what it is made of. Exits non-zero on any difference."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--vendors", action="store_true", help="compare with the vendors' bills, too"
        )
        parser.add_argument(
            "--repair",
            action="store_true",
            help="have the accounts that Valkey counts otherwise made anew from the database",
        )
        parser.add_argument(
            "--all",
            action="store_true",
            help="read all rows, those of proven months, too",
        )
        daily_round.add_days(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["repair"]:
            self._repair()
        proof = invariants.prove(whole=options["all"])
        found = proof.found
        health.note_reconcile(len(found))
        if not found:
            proven_months.keep(timezone.now(), renewed=proof.whole)
        if options["vendors"]:
            found += self._vendors(*daily_round.span(options["first"], options["last"]))
        for problem in found:
            self.stderr.write(problem)
        if found:
            raise CommandError(f"{len(found)} differences.")
        self.stdout.write("The books balance.")

    def _repair(self) -> None:
        wrong = counters.differing()
        counters.repair(wrong)
        for given in (given for each in wrong.values() for given in each):
            self.stdout.write(f"repaired: {given}")

    def _vendors(self, first: date, last: date) -> list[str]:
        """Prints every comparison; what is above the thresholds is a problem."""
        compared = differences(first, last)
        for each in compared:
            self.stdout.write(sentence(each))
        self.stdout.write(f"{len(compared)} vendor bills from {first} to {last} compared.")
        return [
            *vendor_days.problems(first, last),
            *(f"unexplained: {sentence(each)}" for each in compared if each.alarming),
        ]
