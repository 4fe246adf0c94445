"""An upgrade under traffic: the release before, as it was, beside the one that is here.

`previous_release.tar.xz` is its code, kept so that this runs from any clone; `make
previous-release COMMIT=…` keeps another one. Both releases share one Valkey and one database: the
old one serves on the new schema, settlement is replaced, then the gateways one by one.
"""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hontoni.valkey import Valkey
from tests.product import ROOT, Product
from tests.traffic import Customer, exact
from tests.waiting import until

ARCHIVE = Path(__file__).with_name("previous_release.tar.xz")
CUSTOMER = """
from accounts import keys
from accounts.models import User
from billing.adjustments import adjust
from billing.models import Plan
Plan.objects.update(**{{name: 100_000 for name in Plan.LIMITS}})
user = User.objects.create_user("{0}@example.com", "correct horse battery")
adjust(key="{0}", user_id=user.pk, amount=50_000_000_000, reason="a gift", actor="tests")
print(keys.mint(user, "laptop")[1])
"""

pytestmark = pytest.mark.timeout(600)


class Before(Product):
    """The release before: its own code, on the Python and the packages that are here."""

    def begin(self) -> None:
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(self.home, filter="data")
        self.root = self.home / "release"
        self.manage("prepare")

    def customer(self, name: str) -> str:
        made = self.manage("shell", "-v", "0", "-c", CUSTOMER.format(name))
        return made.decode().split()[-1]

    def command(self, name: str) -> list[str]:
        """As its Procfile had it."""
        celery = [sys.executable, "-m", "celery", "-A", "hontoni", "--quiet"]
        return {
            "web": [
                *(
                    sys.executable,
                    "-m",
                    "uvicorn",
                    "hontoni.asgi:application",
                    "--http",
                    "httptools",
                ),
                *("--port", str(self.port), "--no-access-log", "--log-level", "warning"),
            ],
            "worker": [*celery, "worker", "--pool", "threads", "-c", "4", "-l", "warning"],
            "beat": [*celery, "beat", "-s", f"{self.home}/schedule", "--pidfile", ""],
        }[name]


class Now(Product):
    """This release, on what the one before has made."""

    def begin(self) -> None:
        """Nothing: it is an upgrade."""


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[Before, Now]]:
    with Valkey(tmp_path / "valkey", tmp_path / "own.sock") as valkey:
        url = f"unix://{valkey.socket}"
        before, now = Before(tmp_path, REDIS_URL=url), Now(tmp_path, REDIS_URL=url)
        try:
            yield before, now
        finally:
            before.stop()
            now.stop()


def test_an_upgrade_under_traffic_refuses_nobody_and_loses_no_charge(
    shared: tuple[Before, Now],
) -> None:
    before, now = shared
    alice, bob = before.customer("alice"), before.customer("bob")
    before.run("worker")
    before.run("beat")
    before.start()
    customers = [Customer(before, alice, 0.5), Customer(before, bob, 0.5)]
    everybody = list(customers)
    for customer in customers:
        customer.served(2)

    # The new code on the old schema is not ready, and sets nothing aside.
    now.run("settlement")
    now.run("web")
    until(lambda: now.status() == 503, now.log("web"))
    for customer in customers:
        customer.served(1)
    assert not before.rows("SELECT * FROM gateway_deadevent")

    # The old code on the new schema; and what runs already gets ready.
    now.manage("prepare")
    until(lambda: now.status() == 200, now.log("web"))
    for customer in customers:
        customer.served(3)

    # Settlement first, then gateways, side by side for a while and for the same customers.
    before.terminate("worker", "beat")
    customers = [Customer(now, alice, 0.5), Customer(now, bob, 0.5)]
    everybody += customers
    for customer in everybody:
        customer.served(3)
    for customer in everybody[:2]:
        customer.stop()
    before.terminate("web")
    for customer in customers:
        customer.served(2)

    exact(now, everybody)
    assert {status for each in everybody for status in each.answers} == {200}
    assert not now.rows("SELECT * FROM gateway_deadevent")


def test_the_release_before_is_one_of_ours() -> None:
    """Where history is at hand: the archive is a commit of it, and not newer than this one."""
    with tarfile.open(ARCHIVE) as archive:
        commit = archive.pax_headers["comment"]
    known = subprocess.run(["git", "cat-file", "-e", commit], cwd=ROOT, capture_output=True)
    if known.returncode == 0:
        words = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
        assert subprocess.run(words, cwd=ROOT).returncode == 0
