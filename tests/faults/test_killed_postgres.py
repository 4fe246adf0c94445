"""A real Postgres, killed by kill -9 under traffic, again and again: whom the gateway knows is
served meanwhile, and what was committed is there when it is back."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bench import cost
from hontoni.valkey import Valkey
from tests.environment import HOME, postgres_in
from tests.faults.test_killed_processes import held
from tests.faults.test_killed_processes import valkey as valkey
from tests.product import Product
from tests.traffic import Customer, exact
from tests.waiting import until

KILLS = 2
SECRETS = dict.fromkeys(("SECRET_KEY", "CREDENTIAL_KEYS", "KEY_PEPPER"), "for-tests-only-" * 3)
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


class Postgres:
    """One of its own, that keeps what it has committed: everybody's is told to lose it."""

    def __init__(self) -> None:
        self.server = postgres_in(HOME / "killed")  # where its user may go
        self.url = str(self.server.get_uri())

    def kill(self) -> None:
        """All of its processes."""
        for pid in cost.family(self.server.get_pid()):
            with suppress(ProcessLookupError):  # it ended with its parent
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.server.get_postmaster_info().is_running(), "it lives")

    def start(self) -> None:
        until(self._starts, "it does not come back")
        assert self.server.get_uri() == self.url

    def _starts(self) -> bool:
        """False while it recovers for longer than its starter waits."""
        with suppress(subprocess.SubprocessError, AssertionError):
            self.server.ensure_postgres_running()
            return True
        return False


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    own = Postgres()
    yield own
    own.server.cleanup()


def test_what_a_killed_postgres_had_committed_is_charged_once(
    tmp_path: Path, valkey: Valkey, postgres: Postgres
) -> None:
    settings = {**SECRETS, "DATABASE_URL": postgres.url, "REDIS_URL": f"unix://{valkey.socket}"}
    product = Product(tmp_path, **settings, BACKUP_URL=str(tmp_path / "backups"))
    try:
        product.run("settlement")
        product.start()
        customer = Customer(product, product.key)
        for _ in range(KILLS):
            customer.served(3)
            postgres.kill()
            customer.served(2)
            postgres.start()
        until(lambda: product.status() == 200, product.log("web"))
        customer.served(3)
        customer.stop()
        until(lambda: held(product) == 0, "a hold or a slot is left")
        assert set(customer.answers) <= {200, 503}
        exact(product, [customer])
    finally:
        product.stop()
