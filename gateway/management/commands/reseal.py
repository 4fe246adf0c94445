"""Seal every stored credential under the newest key of CREDENTIAL_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from gateway.models import Credential, ReportSource
from gateway.pools import vault


class Command(BaseCommand):
    help = "After a new key was put in front of CREDENTIAL_KEYS; then the old one may go."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        found = [
            *Credential.objects.select_for_update(),
            *ReportSource.objects.select_for_update(),
        ]
        try:
            for credential in found:
                credential.sealed = vault.reseal(credential.sealed)
        except vault.Unreadable as error:
            raise CommandError(f"{error} Nothing was changed.") from error
        for model in (Credential, ReportSource):
            model.objects.bulk_update([c for c in found if isinstance(c, model)], ["sealed"])
        self.stdout.write(f"{len(found)} credentials are sealed under the newest key.")
