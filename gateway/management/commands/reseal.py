"""Seal every stored secret anew: credentials, second factors and the keys that sign receipts."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.sign_in import factors
from accounts.sign_on import provider as sign_on
from billing.books import signing
from billing.channels import secrets as channels
from gateway.batches import sealing
from gateway.reconciliation.vendors.models import ReportSource
from gateway.vendors import vault
from gateway.vendors.models import Credential
from gateway.vendors.own_keys.models import OwnKey
from gateway.vendors.web.models import SearchProvider


class Command(BaseCommand):
    help = "After a new key was put in front of CREDENTIAL_KEYS; then the old one may go."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        credentials = list(Credential.objects.select_for_update())
        sources = list(ReportSource.objects.select_for_update())
        own_keys = list(OwnKey.objects.select_for_update())
        searches = list(SearchProvider.objects.exclude(sealed="").select_for_update())
        try:
            seeds, keys = factors.reseal(), signing.reseal()
            providers, told = sign_on.reseal(), channels.reseal()
            for credential in credentials:
                credential.sealed = vault.reseal(credential.sealed)
            for source in sources:
                source.sealed = vault.reseal(source.sealed)
            for own_key in own_keys:
                own_key.sealed = vault.reseal(own_key.sealed)
            for provider in searches:
                provider.sealed = vault.reseal(provider.sealed)
        except vault.Unreadable as error:
            raise CommandError(f"{error} Nothing was changed.") from error
        Credential.objects.bulk_update(credentials, ["sealed"])
        ReportSource.objects.bulk_update(sources, ["sealed"])
        OwnKey.objects.bulk_update(own_keys, ["sealed"])
        SearchProvider.objects.bulk_update(searches, ["sealed"])
        rows = sealing.reseal()
        self.stdout.write(
            f"{len(credentials) + len(sources) + len(searches)} credentials "
            "are sealed under the newest key."
            + (f" So are {len(own_keys)} keys of customers' own." if own_keys else "")
            + (f" So are {seeds} second factors." if seeds else "")
            + (f" So are {keys} keys that sign receipts." if keys else "")
            + (f" So are {providers} secrets of teams' providers." if providers else "")
            + (f" So are the secrets of {told} channels." if told else "")
            + (f" So are {rows} pieces of files and batches." if rows else "")
        )
