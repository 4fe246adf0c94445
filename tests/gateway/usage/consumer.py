"""A consumer in a process of its own, which a test may kill at any moment.

It waits for a line on its standard input, then writes usage into the books for ever.
"""

import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "hontoni.settings"


def main() -> None:
    import django

    django.setup()
    from gateway.usage import settlement

    settlement.BATCH = 50  # so that there are many moments to die at
    settlement.ABANDONED_MS = 100
    settlement.MOST_DELIVERIES = 1_000_000
    name = f"consumer-{os.getpid()}"
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    while True:
        if not settlement.drain(name):
            settlement.take_over(name)


if __name__ == "__main__":
    main()
