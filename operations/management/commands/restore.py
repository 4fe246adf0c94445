"""manage.py restore NAME: both stores as a backup has them. Stop everything else first."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from operations.backups import restoring
from operations.backups.sealing import Unreadable


class Command(BaseCommand):
    help = "Put a backup back (`manage.py backup --list` names them), and prove the books."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--check", action="store_true", help="read it whole; change nothing")
        parser.add_argument("--replace", action="store_true", help="overwrite the database")
        parser.add_argument("--force", action="store_true", help="even if settlement seems to run")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["check"]:
                with restoring.opened(options["name"]) as backup:
                    manifest = backup.manifest
                self.stdout.write(f"It is whole: {manifest['vendor']}, of {manifest['at']}.")
                return
            count = restoring.restore(
                options["name"], replace=options["replace"], force=options["force"]
            )
        except (restoring.Refused, Unreadable) as problem:
            raise CommandError(str(problem)) from problem
        except FileNotFoundError as problem:
            raise CommandError(f"There is no {options['name']}.") from problem
        self.stdout.write(f"Restored; {count} usage events are on their way. The books balance.")
