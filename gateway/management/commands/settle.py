"""manage.py settle: write usage into the books. A process of its own; run as many as you like."""

import signal
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from gateway.stores import reaping
from gateway.usage import settlement
from gateway.usage.settler import Settler
from hontoni import checks


class Command(BaseCommand):
    help = "Write usage into the books until it is stopped."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="what waits now, and then end")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            done = 0
            while taken := settlement.drain("by hand"):
                done += taken
            self.stdout.write(f"{done} usage events were recorded.")
            return
        if refused := checks.redis_servers():
            raise CommandError(refused[0].msg)
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        _one_connection()
        Settler(stop, reaping.Reaper().reap).run()


def _one_connection() -> None:
    """This process has one thread, so no pool; and it must notice that a server has vanished."""
    if connection.vendor == "postgresql":
        options = connection.settings_dict["OPTIONS"]
        options.pop("pool", None)
        options.setdefault("connect_timeout", 5)
        options.setdefault("tcp_user_timeout", 30_000)
        options.setdefault("keepalives_idle", 10)
