"""Prove the books: Σ entries = balances, rollups = events, Redis = database + unacknowledged."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway.reconcile import problems


class Command(BaseCommand):
    help = "Compare every total with what it is made of. Exits non-zero on any difference."

    def handle(self, *args: Any, **options: Any) -> None:
        found = problems()
        for problem in found:
            self.stderr.write(problem)
        if found:
            raise CommandError(f"{len(found)} differences.")
        self.stdout.write("The books balance.")
