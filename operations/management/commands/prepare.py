"""Everything between an empty database and a product that can start: check, migrate, seed."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from accounts.legal.texts import seed as seed_legal
from accounts.sign_in import factors
from billing.plans.seed import seed as seed_billing
from gateway.archive.dropping import MONTHLY
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.dashboard.roles import seed as seed_roles
from gateway.pricing.published import seed as seed_published
from gateway.reconciliation.vendors import models as sources
from gateway.vendors import models as credentials
from gateway.vendors.own_keys.seed import seed as seed_own_keys
from gateway.vendors.presets import seed as seed_presets
from hontoni import partitions, private
from operations import schema
from operations.backups import moment


def _close_what_was_open() -> None:
    """Secrets of before are sealed, and bound to where they are sent."""
    factors.seal_clear()
    credentials.bind()
    sources.bind()


class Command(BaseCommand):
    help = "Check, migrate, seed what is sold and the roles of staff. Repeating it is harmless."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--no-backup", action="store_true", help="before migrations, whatever is set"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("check")
        if settings.EMBEDDED_DATABASE:
            private.close(settings.DATA_DIR)
        with schema.alone():
            if schema.is_behind():
                self._keep(wanted=not options["no_backup"])
                schema.migrate()
            partitions.make_all_ahead(MONTHLY, timezone.now())
            _close_what_was_open()
            seed_billing()
            seed_catalogue()
            seed_published()
            seed_presets()
            seed_own_keys()
            seed_roles()
            seed_legal()

    def _keep(self, *, wanted: bool) -> None:
        """The database as it was before this release touched it."""
        if wanted and settings.BACKUP_BEFORE_MIGRATIONS and not schema.is_empty():
            kept = moment.take()
            self.stdout.write(f"Backed up before migrations: {kept.name}")
