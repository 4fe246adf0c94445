"""Have accounts made anew in Valkey from the database before their next request."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from gateway.stores import rebuilding
from hontoni.errors import ApiError


class Command(BaseCommand):
    help = "Make the account of EMAIL, or --all of them, anew in Valkey from the database."

    def add_arguments(self, parser: CommandParser) -> None:
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("email", nargs="?")
        who.add_argument("--all", action="store_true", help="every account")

    def handle(self, *args: Any, **options: Any) -> None:
        user_ids = None if options["all"] else [self._user(options["email"])]
        try:
            count = rebuilding.reseed(user_ids)
        except ApiError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{count} accounts are made anew before their next request.")

    def _user(self, email: str) -> int:
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            raise CommandError(f"There is no account {email}.")
        return user.pk
