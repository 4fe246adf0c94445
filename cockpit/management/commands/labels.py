import json
from typing import Any

from django.core.management.base import BaseCommand

from cockpit import labels


class Command(BaseCommand):
    help = "Print what tables, columns and choices are called, as a module (make messages)."

    def handle(self, *args: Any, **options: Any) -> None:
        for words in sorted(set(filter(None, labels.shown()))):
            self.stdout.write("# xgettext:no-python-format")  # "10 % off" is no directive
            self.stdout.write(f"_({json.dumps(words, ensure_ascii=False)})")
