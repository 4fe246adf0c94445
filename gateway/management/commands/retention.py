"""What is older than RETENTION_MONTHS: `retention` says what would go into the archive, `retention
run` takes it there, `retention verify` reads every file again."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from billing.books import checkpoints
from billing.books.models import Checkpoint
from gateway.archive import archive_proof, expiry, span
from hontoni import months


class Command(BaseCommand):
    help = "Say which months would go into the archive; `run` takes them there, `verify` reads it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", nargs="?", choices=("plan", "run", "verify"), default="plan")

    def handle(self, *args: Any, **options: Any) -> None:
        {"plan": self._plan, "run": self._run, "verify": self._verify}[options["verb"]]()

    def _plan(self) -> None:
        waiting = list(expiry.due(timezone.now()))
        if not waiting:
            self.stdout.write("Nothing is old enough.")
        for month in waiting[:1]:
            found = span.of(month)
            requests, (charges, _) = found.leaving().count(), found.charges()
            self.stdout.write(
                f"{months.name(month)}: {requests} requests and {charges.count()} charges would go"
            )
        for month in waiting[1:]:
            self.stdout.write(f"{months.name(month)}: after that")

    def _run(self) -> None:
        try:
            made = expiry.run(timezone.now())
        except (expiry.Changed, Error, OSError) as error:
            raise CommandError(f"{type(error).__name__}: {error}") from error
        for each in made:
            stated = checkpoints.contents(each)
            files = ", ".join(file["name"] for file in stated["files"])
            self.stdout.write(f"{stated['month']} is in the archive: {files}")
        self.stdout.write(f"{len(made)} months taken out.")

    def _verify(self) -> None:
        wrong = [*checkpoints.problems(), *archive_proof.wrong_files()]
        for each in wrong:
            self.stderr.write(each)
        if wrong:
            raise CommandError(f"{len(wrong)} faults.")
        self.stdout.write(f"{Checkpoint.objects.count()} checkpoints and their files are sound.")
