"""`python -m hontoni.worker FILE`: Celery's worker with beat in it: all that `make run` needs.
FILE is where beat keeps what it last did.

As `celery -A hontoni worker --with-beat` with these options, without what Celery's commands load.
"""

import sys

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
        schedule_filename=sys.argv[1],
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
