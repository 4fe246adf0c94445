"""An upgrade under traffic: the release before, as it was, beside the one that is here.

`previous_release.tar.xz` is its code, kept so that this runs from any clone; `make
previous-release COMMIT=…` keeps another one. Both releases share one Valkey and one database: the
old one serves on the new schema, settlement is replaced, then the gateways one by one.
"""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hontoni.valkey import Valkey
from operations import schema
from tests.operations.test_prepare import empty_database
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
            ours = {path.parts[1::2] for path in map(Path, archive.getnames()) if _migration(path)}
        if "DATABASE_URL" in self.environment:
            self._make_tables(ours)
        self.root = self.home / "release"
        self.manage("prepare")

    def _make_tables(self, migrations: set[tuple[str, ...]]) -> None:
        """As its migrations make them, but for dj-stripe's, which took it ten minutes here."""
        made = {(app, name.removesuffix(".py")) for app, name in migrations} | {schema.FIRST}
        self.manage(
            "shell", "-v", "0", "-c", f"from operations import schema; schema.make({made})"
        )

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


def _migration(path: Path) -> bool:
    """release/<app>/migrations/0001_initial.py"""
    return len(path.parts) == 4 and path.parts[2] == "migrations" and path.name[:1].isdigit()


class Now(Product):
    """This release, on what the one before has made."""

    def begin(self) -> None:
        """Nothing: it is an upgrade."""


@contextmanager
def side_by_side(home: Path, **settings: str) -> Iterator[tuple[Before, Now]]:
    with Valkey(home / "valkey", home / "own.sock") as valkey:
        settings["REDIS_URL"] = f"unix://{valkey.socket}"
        before, now = Before(home, **settings), Now(home, **settings)
        try:
            yield before, now
        finally:
            before.stop()
            now.stop()


def test_an_upgrade_under_traffic_refuses_nobody_and_loses_no_charge(tmp_path: Path) -> None:
    with side_by_side(tmp_path) as releases:
        upgrade(*releases)


@pytest.mark.postgres_only
@pytest.mark.django_db
def test_nor_does_one_on_postgres(tmp_path: Path) -> None:
    """Where the tables become some of a month each, and migrations give way to traffic."""
    secrets = dict.fromkeys(("SECRET_KEY", "CREDENTIAL_KEYS"), "for-tests-only-" * 3)
    secrets |= {"KEY_PEPPER": "for-tests-only-" * 3}
    with (
        empty_database() as url,
        side_by_side(tmp_path, DATABASE_URL=url, **secrets) as releases,
    ):
        upgrade(*releases)


def upgrade(before: Before, now: Now) -> None:
    """While alice and bob ask."""
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
