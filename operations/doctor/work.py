"""What runs beside the gateways: settlement, the worker, the books."""

import time
from collections.abc import Iterator

from gateway.metrics import store_metrics
from gateway.usage.models import DeadEvent
from hontoni import health
from operations.doctor.findings import Finding, failing, ok, warning

LAG_SECONDS = 60
RECONCILED_HOURS = 26


def settlement() -> Iterator[Finding]:
    """That usage is written into the books, and how much waits."""
    alarms = health.alarms()
    if found := alarms.get("settlement"):
        yield failing(f"{found}: start `manage.py settle`")
    length, oldest = store_metrics.queue()
    late = 0.0 if oldest is None else time.time() - oldest
    text = f"{length} usage events wait, the oldest for {late:.0f} s"
    yield failing(text) if late > LAG_SECONDS else ok(text)
    if dead := DeadEvent.objects.count():
        yield failing(f"{dead} usage events were set aside: see the admin, `replayevents`")


def worker() -> Iterator[Finding]:
    """That mails, Stripe and renewals are worked on."""
    found = health.alarms().get("worker")
    yield failing(f"{found}: start Celery's worker and beat") if found else ok("it is alive")


def books() -> Iterator[Finding]:
    """What the last reconcile found."""
    last = health.reconciled()
    if last is None:
        yield warning("they were never reconciled: run `manage.py reconcile`")
        return
    hours = (time.time() - last.at) / 3600
    if last.differences:
        yield failing(f"the last reconcile found {last.differences} differences")
    elif hours > RECONCILED_HOURS:
        yield warning(f"the last reconcile was {hours:.0f} h ago: is beat running?")
    else:
        yield ok(f"they balanced {hours:.0f} h ago")
