"""Credit or debit an account from a shell, as staff do in the admin: with a reason, audited."""

import os
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from billing.books import ledger
from billing.books.adjustments import adjust
from hontoni.errors import ApiError
from hontoni.money import CENT, dollars, nanos


def _typed(text: str) -> int:
    """Nano-dollars. Raises ValueError for a part of a cent, as for what is no amount."""
    amount = nanos(text)
    if amount % CENT:
        raise ValueError("Staff credit whole cents.")
    return amount


class Command(BaseCommand):
    help = "Credit AMOUNT dollars to the account of EMAIL (a negative amount debits)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("amount", help="dollars and whole cents, such as 25 or -3.50")
        parser.add_argument("--reason", required=True, help="the customer sees it")
        parser.add_argument("--key", help="idempotency key: the same key again posts nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"].strip().lower()).first()
        if user is None:
            raise CommandError(f"There is no account {options['email']}.")
        try:
            _, created = adjust(
                key=f"shell:{options['key'] or uuid.uuid4().hex}",
                user_id=user.pk,
                amount=_typed(options["amount"]),
                reason=options["reason"],
                actor=f"shell:{os.getuid()}",
            )
        except (ApiError, ValueError) as error:
            raise CommandError(str(error)) from error
        said = "" if created else "This key was posted before. "
        self.stdout.write(f"{said}Balance of {user}: ${dollars(ledger.balance(user.pk))}")
