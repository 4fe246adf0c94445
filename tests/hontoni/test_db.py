"""What a task of the worker's leaves of its connection to the database."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from django.db import connection

from hontoni import celery

TASK = SimpleNamespace(request=SimpleNamespace(is_eager=False))


@pytest.mark.django_db(transaction=True)
def test_a_sound_connection_to_sqlite_stays_for_the_next_task_and_no_other() -> None:
    def work() -> list[bool]:
        """Whether it is open: behind a task that went well, behind one that did not."""
        found = []
        for failed in (False, True):
            connection.ensure_connection()
            connection.errors_occurred = failed
            celery._give_back(sender=TASK)
            found.append(connection.connection is not None)
        connection.close()
        return found

    with ThreadPoolExecutor(1) as worker:
        assert worker.submit(work).result() == [connection.vendor == "sqlite", False]
