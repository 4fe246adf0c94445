"""The worker outlives its broker, whatever it has in hand."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hontoni.valkey import Valkey
from tests.waiting import until

ROOT = Path(__file__).parent.parent.parent
SEND = """
import sys, django
django.setup()
from tests.hontoni.naps import nap
for name in sys.argv[2:]:
    nap.delay(name, sys.argv[1])
"""


@pytest.mark.parametrize("away", [0.3, 3.0])
def test_the_worker_outlives_a_broker_that_is_killed_under_its_tasks(
    tmp_path: Path, away: float
) -> None:
    broker, log = Valkey(tmp_path / "valkey", tmp_path / "own.sock"), tmp_path / "log"
    environment = os.environ | {
        "REDIS_URL": f"unix://{broker.socket}",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'none.sqlite3'}",
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": "for-tests-only-for-tests-only-for-tests-only",
        "DJANGO_SETTINGS_MODULE": "hontoni.settings",
    }
    celery = [sys.executable, "-m", "celery", "-A", "hontoni", "--quiet", "worker"]
    options = ["--pool", "threads", "-c", "4", "-l", "info", "-I", "tests.hontoni.naps"]

    def send(*names: str) -> None:
        words = [sys.executable, "-c", SEND, str(tmp_path), *names]
        subprocess.run(words, env=environment, cwd=ROOT, check=True)

    with broker, log.open("wb") as output:
        worker = subprocess.Popen(
            [*celery, *options], env=environment, cwd=ROOT, stdout=output, stderr=output
        )
        try:
            until(lambda: " ready." in log.read_text(), "the worker never came up")
            send(*(f"before{n}" for n in range(20)))
            until(lambda: (tmp_path / "before0").exists(), "no task was begun")
            assert broker.process is not None
            broker.process.kill()  # four tasks are under way, and more are in hand
            broker.process.wait()
            time.sleep(away)
            assert worker.poll() is None, log.read_text()[-3000:]
            broker.start()
            send("after")
            until(lambda: (tmp_path / "after").exists(), log.read_text()[-3000:])
            assert worker.poll() is None
        finally:
            worker.kill()
            worker.wait()
