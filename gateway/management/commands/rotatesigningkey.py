"""Sign receipts with another key from now on; what was signed before stays good."""

from typing import Any

from django.core.management.base import BaseCommand

from billing.books import signing


class Command(BaseCommand):
    help = "Make another key for signing receipts. The public halves of all stay published."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Receipts are signed by {signing.rotate()} from now on.")
