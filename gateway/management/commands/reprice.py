"""Price requests anew at another version, from a shell: preview, then apply."""

import os
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from accounts.models import User
from gateway.catalogue.models import Price
from gateway.usage.corrections import booking
from gateway.usage.corrections.booking import Range, Sum
from hontoni.errors import ApiError
from hontoni.money import dollars


class Command(BaseCommand):
    help = (
        "List per account what the requests with MODEL admitted in a range cost too much or too "
        "little at price version N; with --apply, book it. Twice is once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--model", required=True)
        parser.add_argument("--from", dest="since", required=True, help="ISO 8601; UTC without Z")
        parser.add_argument("--to", dest="until", required=True, help="the first moment not meant")
        parser.add_argument("--account", help="e-mail address; all accounts without it")
        parser.add_argument("--price", required=True, type=int, help="number of the price version")
        parser.add_argument("--debit", action="store_true", help="what was too cheap, too")
        parser.add_argument("--reason", default="", help="the customers see it")
        does = parser.add_mutually_exclusive_group()
        does.add_argument("--preview", action="store_true", help="only list it (the default)")
        does.add_argument("--apply", action="store_true", help="book it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            wanted = _range(options)
            debit, correction = options["debit"], None
            if options["apply"]:
                correction, found = booking.apply(
                    wanted,
                    reason=options["reason"],
                    actor=f"shell:{os.getuid()}",
                    debit=debit,
                )
            else:
                found = booking.preview(wanted, debit=debit)
        except ApiError as error:
            raise CommandError(str(error)) from error
        self._list(found)
        if correction is not None:
            self.stdout.write(f"Booked as {correction}.")
        elif options["apply"]:
            self.stdout.write("There was nothing to correct.")
        else:
            self.stdout.write("Nothing is booked: this is a preview.")

    def _list(self, found: list[Sum]) -> None:
        names = dict(
            User.objects.filter(pk__in=[each.user_id for each in found]).values_list("pk", "email")
        )
        for each in found:
            said = [f"{names[each.user_id]}: {each.requests} requests"]
            said.append(f"credit ${dollars(each.credited)}, debit ${dollars(each.debited)}")
            if each.refused:
                said.append(f"not debited: {each.refused}")
            if each.odd:
                said.append(f"{each.odd} requests are not charged by prices: adjust them by hand")
            self.stdout.write("; ".join(said))
        credited, debited = sum(e.credited for e in found), sum(e.debited for e in found)
        self.stdout.write(
            f"In all {sum(e.requests for e in found)} requests of {len(found)} accounts: "
            f"credit ${dollars(credited)}, debit ${dollars(debited)}."
        )


def _range(options: dict[str, Any]) -> Range:
    price = Price.objects.filter(pk=options["price"]).first()
    if price is None or price.model_id != options["model"]:
        raise CommandError(f"{options['model']} has no price version {options['price']}.")
    user = None
    if options["account"]:
        user = User.objects.filter(email=options["account"].strip().lower()).first()
        if user is None:
            raise CommandError(f"There is no account {options['account']}.")
    since, until = _moment(options["since"]), _moment(options["until"])
    return Range(price, since, until, user.pk if user else None)


def _moment(text: str) -> datetime:
    try:
        found = parse_datetime(text) or parse_datetime(f"{text}T00:00")
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"{text} is not a moment, such as 2026-11-30T08:00Z.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
