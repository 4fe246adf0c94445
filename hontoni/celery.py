"""The Celery app and the beat schedule."""

import os
import sys
from typing import Any

import click
from celery import Celery, bootsteps, signals
from celery.beat import EmbeddedService
from celery.schedules import crontab
from django.conf import settings

from hontoni import broker, db

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hontoni.settings")

broker.install()
app = Celery("hontoni")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Nobody else could use the connection, and to open one reads the whole schema.
    app.conf["CELERY_DB_REUSE_MAX"] = sys.maxsize
app.conf.beat_schedule = {
    "watch-settlement": {"task": "gateway.tasks.watch_settlement", "schedule": 60.0},
    "say-alive": {"task": "gateway.tasks.say_alive", "schedule": 60.0},
    "reconcile": {"task": "gateway.tasks.reconcile", "schedule": crontab(hour=4, minute=10)},
    "keep-retention": {
        "task": "gateway.tasks.keep_retention",
        "schedule": crontab(hour=2, minute=40),  # before the night's reconcile
    },
    "root-ledger": {"task": "gateway.tasks.root_ledger", "schedule": crontab(minute=15)},
    "forget-refusals": {"task": "gateway.tasks.forget_refusals", "schedule": 3600.0},
    "forget-files": {"task": "gateway.tasks.forget_files", "schedule": 1800.0},
    "reconcile-counters": {"task": "gateway.tasks.reconcile_counters", "schedule": 3600.0},
    "compare-vendor-bills": {
        "task": "gateway.tasks.compare_vendor_bills",
        "schedule": crontab(hour=9, minute=30),  # UTC: by then vendors have yesterday's costs
    },
    "announce-catalogue": {"task": "gateway.tasks.announce_catalogue", "schedule": 3600.0},
    "sync-catalogue": {
        "task": "gateway.tasks.sync_catalogue",
        "schedule": crontab(hour=7, minute=20),
    },
    "renew-subscriptions": {"task": "billing.tasks.renew_subscriptions", "schedule": 15.0},
    "end-limit-raises": {"task": "billing.tasks.end_limit_raises", "schedule": 60.0},
    "announce-renewals": {"task": "billing.tasks.announce_renewals", "schedule": 3600.0},
    "announce-prices": {"task": "billing.tasks.announce_prices", "schedule": 300.0},
    "retry-stripe-events": {"task": "billing.payments.tasks.retry_events", "schedule": 60.0},
    "poll-stripe-events": {"task": "billing.payments.tasks.poll_events", "schedule": 3600.0},
    "issue-documents": {"task": "billing.payments.tasks.issue_documents", "schedule": 3600.0},
    "renew-by-card": {"task": "billing.payments.tasks.renew_by_card", "schedule": 60.0},
    "mirror-missing": {"task": "billing.payments.tasks.mirror_missing", "schedule": 600.0},
    "top-up-automatically": {
        "task": "billing.payments.tasks.top_up_automatically",
        "schedule": 60.0,
    },
    "poll-banks": {"task": "billing.payments.tasks.poll_banks", "schedule": 60.0},
    "hand-over-invoices": {
        "task": "billing.payments.tasks.hand_over_invoices",
        "schedule": 60.0,
    },
    "propose-rate": {
        "task": "billing.payments.tasks.propose_rate",
        "schedule": crontab(hour=2, minute=30),  # UTC: banks in Vietnam have opened
    },
    "forget-expired-sessions": {
        "task": "accounts.tasks.forget_expired_sessions",
        "schedule": 24 * 3600.0,
    },
    "send-mails": {"task": "billing.tasks.send_due_mails", "schedule": 10.0},
    "send-deliveries": {"task": "billing.tasks.send_due_deliveries", "schedule": 5.0},
    "forget-deliveries": {"task": "billing.tasks.forget_deliveries", "schedule": 3600.0},
    "forget-deleted": {"task": "billing.tasks.forget_deleted", "schedule": 3600.0},
    "write-down-gifts": {"task": "billing.tasks.write_down_gifts", "schedule": 600.0},
    "sum-days": {"task": "cockpit.tasks.sum_days", "schedule": 300.0},
    "watch": {"task": "cockpit.tasks.watch", "schedule": 300.0},
    "announce": {"task": "cockpit.tasks.announce", "schedule": 60.0},
    "tell-findings": {"task": "cockpit.tasks.tell", "schedule": 60.0},
    "settle-referrals": {"task": "billing.tasks.settle_referrals", "schedule": 600.0},
}


class WithBeat(bootsteps.StartStopStep):
    """`worker --with-beat`: beat in a thread of the only worker there is, in place of a process of
    its own, as `--beat` would start one; that is all that a small installation can do without."""

    label = "Beat in a thread"

    def __init__(self, worker: Any, with_beat: bool = False, **_: Any) -> None:
        super().__init__(worker)
        self.enabled = with_beat

    def create(self, worker: Any) -> Any:
        return EmbeddedService(worker.app, thread=True, schedule_filename=worker.schedule_filename)


@signals.celeryd_init.connect
@signals.beat_init.connect
def _refuse(**_: Any) -> None:
    """What must not run does not, however it is started: Celery looks at no check of Django's."""
    from hontoni import checks

    if refused := [f"{error.id}: {error.msg}" for error in checks.deployment()]:
        raise SystemExit("\n".join(refused))


@signals.task_postrun.connect
def _give_back(sender: Any, **_: Any) -> None:
    """What Celery leaves open is open for the next task only if it is sound."""
    if not sender.request.is_eager:
        db.give_back()


@signals.worker_ready.connect
def _say_alive(**_: Any) -> None:
    """Before beat's first minute is over, so that nobody misses a worker that has just begun."""
    from hontoni import health

    health.worker_beat()


app.user_options["worker"].add(
    click.Option(["--with-beat"], is_flag=True, help="Run beat, too: in one worker only.")
)
app.steps["worker"].add(WithBeat)
