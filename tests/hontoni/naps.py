"""A task that is under way for a while: what a broker that goes away meets."""

import time

from celery import shared_task


@shared_task(name="tests.hontoni.naps.nap")
def nap(name: str, folder: str) -> None:
    time.sleep(0.5)
    with open(f"{folder}/{name}", "w") as done:
        done.write("done")
