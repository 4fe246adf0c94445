"""Seal every stored secret anew: credentials, second factors and the keys that sign receipts."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.sign_in import factors
from billing.books import signing
from gateway.reconciliation.vendors.models import ReportSource
from gateway.vendors import vault
from gateway.vendors.models import Credential


class Command(BaseCommand):
    help = "After a new key was put in front of CREDENTIAL_KEYS; then the old one may go."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        credentials = list(Credential.objects.select_for_update())
        sources = list(ReportSource.objects.select_for_update())
        try:
            seeds, keys = factors.reseal(), signing.reseal()
            for credential in credentials:
                credential.sealed = vault.reseal(credential.sealed)
            for source in sources:
                source.sealed = vault.reseal(source.sealed)
        except vault.Unreadable as error:
            raise CommandError(f"{error} Nothing was changed.") from error
        Credential.objects.bulk_update(credentials, ["sealed"])
        ReportSource.objects.bulk_update(sources, ["sealed"])
        self.stdout.write(
            f"{len(credentials) + len(sources)} credentials are sealed under the newest key."
            + (f" So are {seeds} second factors." if seeds else "")
            + (f" So are {keys} keys that sign receipts." if keys else "")
        )
