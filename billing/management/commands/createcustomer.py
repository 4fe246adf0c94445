"""Make a customer in one go, for the owners' own accounts, demos and acceptance runs."""

import json
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.books import ledger
from billing.staff.account_opening import Opened, Order, open_account
from billing.subscriptions import complimentary
from hontoni.errors import ApiError
from hontoni.money import dollars, nanos


class Command(BaseCommand):
    help = (
        "Make a confirmed customer. Run again, it adds only what the account lacks. A plan and an "
        "add-on are given for nothing: no charge, no invoice, no renewal."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="", help="of the customer")
        parser.add_argument(
            "--password",
            help="'-' reads it from stdin; without one, it is set by 'Forgot your password?'",
        )
        parser.add_argument("--plan", default="", help="its id, such as ultimate")
        parser.add_argument("--add-on", default="", help="its id, such as rate-limit-10x")
        parser.add_argument("--months", type=int, default=12, help="how long both last (12)")
        parser.add_argument("--credit", default="0", help="dollars, such as 100")
        parser.add_argument("--key", default="", metavar="NAME", help="make an API key")
        parser.add_argument("--json", action="store_true", help="answer one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["months"] <= 120:
            raise CommandError("--months: from 1 to 120.")
        password = options["password"]
        now = timezone.now()
        try:
            opened = open_account(
                Order(
                    email=options["email"],
                    name=options["name"],
                    password=sys.stdin.readline().rstrip("\n") if password == "-" else password,
                    plan=options["plan"],
                    add_on=options["add_on"],
                    credit=nanos(options["credit"]),
                    key=options["key"],
                ),
                until=complimentary.months_later(now, options["months"]),
                now=now,
                actor=f"shell:{os.getuid()}",
            )
        except (ApiError, ValueError) as error:
            raise CommandError(str(error)) from error
        report = _report(opened)
        self.stdout.write(
            json.dumps(report) if options["json"] else _lines(report, options["key"])
        )


def _report(opened: Opened) -> dict[str, Any]:
    mine = opened.subscription
    return {
        "id": opened.user.pk,
        "email": opened.user.email,
        "created": opened.created,
        "plan": mine and mine.plan.slug,
        "add_on": mine.add_on.slug if mine and mine.add_on else None,
        "period_end": mine and mine.period_end.isoformat(),
        "credited": dollars(opened.credited),
        "balance": dollars(ledger.balance(opened.user.pk)),
        "key": opened.raw or None,
    }


def _lines(report: dict[str, Any], name: str) -> str:
    lines = [f"{report['email']}: {'made and confirmed' if report['created'] else 'was there'}."]
    if report["plan"]:
        added = f" with {report['add_on']}" if report["add_on"] else ""
        lines.append(f"Plan: {report['plan']}{added} until {report['period_end'][:10]}.")
    lines.append(f"Credited now: ${report['credited']}. Balance: ${report['balance']}.")
    if report["key"]:
        lines += ["The key, shown this once:", report["key"]]
    elif name:
        lines.append(f"There is an active key {name} already: it cannot be shown again.")
    return "\n".join(lines)
