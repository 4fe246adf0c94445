"""manage.py demo: fill an empty sandbox with customers, payments and requests of two months."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.models import User
from operations.demo import people, weeks


class Command(BaseCommand):
    help = "Fill an empty sandbox with a business to look at: last month, and this one so far."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--customers", type=int, default=200)
        parser.add_argument("--requests", type=int, default=300_000)
        parser.add_argument(
            "--days", type=int, help="so many, instead of since last month's first"
        )
        parser.add_argument("--seed", type=int, default=1, help="another one, another business")

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.SANDBOX and settings.STRIPE_API_BASE.startswith("http://127.0.0.1:")):
            raise CommandError("Only a sandbox in front of the simulated Stripe can be filled.")
        if User.objects.filter(email=people.OWNER).exists():
            self.stdout.write("It is filled already.")
        elif User.objects.exists():
            raise CommandError("Somebody has an account here: only an empty sandbox is filled.")
        else:
            weeks.make(
                options["customers"],
                options["requests"],
                seed=options["seed"],
                say=self.stdout.write,
                begin=_begin(options["days"]),
            )
        self.stdout.write(
            f"Staff sign in at /account/login/ as {people.OWNER}, or as support@, finance@, "
            f"catalogue@ or auditor@example.com, with the password {people.PASSWORD} and codes of "
            f"the second factor {people.SECOND_FACTOR}."
        )


def _begin(days: int | None) -> datetime | None:
    """The midnight (UTC) so many days ago."""
    if days is None:
        return None
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days)
