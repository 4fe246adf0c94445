"""`catalogue sync [--offline]`: what public sources say about models and prices, as proposals."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from gateway.pricing import proposals


class Command(BaseCommand):
    help = "Read public sources of models and prices, and propose what differs. Applies nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        sync = deeds.add_parser("sync", help="read all sources and propose what differs")
        sync.add_argument(
            "--offline", action="store_true", help="read the copies that come with the product"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = proposals.sync(offline=options["offline"])
        for problem in found.problems:
            self.stderr.write(f"left out: {problem}")
        self.stdout.write(
            f"{found.new} new proposals, {found.open} open, {found.gone} no longer so."
        )
        if found.problems and not found.open:
            raise SystemExit(1)
