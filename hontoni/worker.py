"""`python -m hontoni.worker`: Celery's worker with beat in it, which is all that `make run` needs.

As `celery -A hontoni worker --with-beat` with these options, without what Celery's commands load.
"""

import sys

from django.conf import settings

from hontoni.celery import app


def main() -> int:
    """Until it is stopped; the exit status."""
    worker = app.Worker(
        pool="threads",
        concurrency=4,
        loglevel="WARNING",
        quiet=True,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        with_beat=True,
        schedule_filename=str(settings.DATA_DIR / "celerybeat-schedule"),
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
