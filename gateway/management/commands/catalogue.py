"""`catalogue sync [--offline]`: what public sources say about models and prices, as proposals.
`catalogue copy FOLDER --on DAY`: the copies that `--offline` reads, of answers that were saved."""

from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway.pricing import proposals
from gateway.pricing.sources import copying, source_reading
from gateway.pricing.sources.listings import Unreadable


class Command(BaseCommand):
    help = "Read public sources of models and prices, and propose what differs. Applies nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        sync = deeds.add_parser("sync", help="read all sources and propose what differs")
        sync.add_argument(
            "--offline", action="store_true", help="read the copies that come with the product"
        )

        copy = deeds.add_parser("copy", help="make the copies anew, of answers that were saved")
        copy.add_argument("folder", help="models.dev.json, litellm.json and openrouter.json")
        copy.add_argument("--on", required=True, help="when they were answered: 2026-11-30")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["deed"] == "copy":
            self._copy(Path(options["folder"]), options["on"])
            return
        found = proposals.sync(offline=options["offline"])
        for problem in found.problems:
            self.stderr.write(f"left out: {problem}")
        self.stdout.write(
            f"{found.new} new proposals, {found.open} open, {found.gone} no longer so."
        )
        if found.problems and not found.open:
            raise SystemExit(1)

    def _copy(self, folder: Path, on: str) -> None:
        try:
            counts = copying.copy(folder, source_reading.COPIES, date.fromisoformat(on))
        except (OSError, ValueError, Unreadable) as error:
            raise CommandError(f"Nothing is written: {error}") from None
        for file, count in counts.items():
            self.stdout.write(f"{file}: {count} models")
