"""What the worker does for the gateway: write usage into the books, reap what died."""

import os
import socket
import time
from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from gateway.reconciliation import counters
from gateway.reconciliation.vendors import rounds
from gateway.stores import reaping
from gateway.usage import refusals, settlement
from hontoni import health

DRAIN_SECONDS = 1.0  # how often beat calls; a run looks again until the next one is due
PAUSE_SECONDS = 0.1


def _consumer() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@shared_task(expires=DRAIN_SECONDS)
def drain_usage(**_: Any) -> None:
    """Record usage events as they come: a receipt is there within a fraction of a second."""
    refusals.drain()
    until = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < until:
        if not settlement.drain(_consumer()):
            time.sleep(PAUSE_SECONDS)


@shared_task(expires=10)
def keep_house(**_: Any) -> None:
    """Settle the requests of dead processes, take over the batches of dead workers."""
    health.beat()
    reaping.reap()
    settlement.take_over(_consumer())


@shared_task(expires=1800)
def reconcile_counters(**_: Any) -> None:
    """What Valkey counts beside the books; staff hear of a difference, and it is repaired."""
    counters.look()


@shared_task
def forget_refusals(**_: Any) -> None:
    """Refusals are kept for a month."""
    refusals.forget()


@shared_task(expires=3600)
def compare_vendor_bills(**_: Any) -> None:
    """The vendors' reports of the last days, beside the books."""
    rounds.daily()


@worker_ready.connect
def _first_beat(**_: Any) -> None:
    health.beat()
