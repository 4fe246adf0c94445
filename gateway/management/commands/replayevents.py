"""manage.py replayevents: write usage events that were set aside into the books after all."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gateway.usage import dead_events
from gateway.usage.models import DeadEvent


class Command(BaseCommand):
    help = (
        "Record the usage events that were set aside, all of them or those named. Twice is once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("stream_id", nargs="*", help="as the admin lists them, e.g. 12:17-0")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = DeadEvent.objects.order_by("pk")
        if options["stream_id"]:
            wanted = wanted.filter(stream_id__in=options["stream_id"])
        failed = 0
        for dead in wanted:
            problem = dead_events.replay(dead)
            failed += bool(problem)
            self.stdout.write(f"{dead.stream_id}: {problem or 'recorded'}")
        if failed:
            raise CommandError(f"{failed} could not be recorded")
