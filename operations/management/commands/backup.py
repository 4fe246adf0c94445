"""manage.py backup: both stores at this moment, sealed, onto the shelf."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from operations.backups import moment, shelves


class Command(BaseCommand):
    help = "Back up both stores as they are at one moment (BACKUP_URL, BACKUP_KEY, BACKUP_KEEP)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--list", action="store_true", help="what there is; takes none")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            for kept in shelves.shelf().listed():
                self.stdout.write(f"{kept.name}  {kept.size:,} bytes")
            return
        if not settings.BACKUP_KEY:
            raise CommandError("BACKUP_KEY is empty: nothing leaves this machine unsealed.")
        kept = moment.take()
        self.stdout.write(f"{kept.name}  {kept.size:,} bytes")
