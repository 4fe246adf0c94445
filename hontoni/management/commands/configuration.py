"""`manage.py configuration`: the documentation of the settings, as Markdown."""

from typing import Any

from django.core.management.base import BaseCommand

from hontoni import environment


class Command(BaseCommand):
    help = "Print docs/configuration.md, from what hontoni/options.py declares (make docs)."

    def handle(self, *args: Any, **options_: Any) -> None:
        self.stdout.write(environment.page(), ending="")
