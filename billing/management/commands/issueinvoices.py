"""Give every payment its invoice, and all that went back its credit note, as beat does hourly."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from billing.payments import documents


class Command(BaseCommand):
    help = "Issue the invoices and credit notes that are missing, dated today. Twice is once."

    def handle(self, *args: Any, **options: Any) -> None:
        issued = 0
        while more := documents.complete(now=timezone.now()):
            issued += more
        self.stdout.write(f"{issued} payments got their document.")
