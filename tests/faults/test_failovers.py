"""The whole product on a real Redis Cluster, and on a service that real Sentinels watch, told of
it by REDIS_URL alone: a master is killed under traffic, and the books are exact."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from ratelimits import keys
from tests.faults import redis_servers
from tests.product import ROOT, Product
from tests.waiting import until

HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}
NAP = """
import sys, django
django.setup()
from tests.hontoni.naps import nap
nap.delay(sys.argv[1], sys.argv[2])
"""
CACHED = """
from django.core.cache import cache
cache.set("here", "it is", 60)
assert cache.get("here") == "it is"
"""


class Customer(threading.Thread):
    """One who asks again and again, and counts what is answered."""

    def __init__(self, product: Product, key: str) -> None:
        super().__init__(daemon=True)
        self.answers: Counter[int] = Counter()
        self.done = threading.Event()
        self.http = httpx.Client(
            base_url=product.url, headers={"authorization": f"Bearer {key}"}, timeout=60
        )
        self.start()

    def run(self) -> None:
        with self.http:
            while not self.done.is_set():
                answer = self.http.post("/v1/chat/completions", json=HELLO)
                if answer.status_code == 503:
                    assert answer.headers["retry-after"], answer.text
                self.answers[answer.status_code] += 1
                self.done.wait(0.1)

    def served(self, more: int) -> None:
        """Wait for so many more answers."""
        goal = self.answers[200] + more
        until(lambda: self.answers[200] >= goal, f"no answers any more: {self.answers}")


def nap(product: Product, name: str) -> None:
    """A task of Celery's, from its publishing to its end."""
    words = [sys.executable, "-c", NAP, name, str(product.home)]
    environment = product.environment | {"DJANGO_SETTINGS_MODULE": "hontoni.settings"}
    subprocess.run(words, env=environment, cwd=ROOT, check=True)
    until(lambda: (product.home / name).exists(), product.log("worker"))


@contextmanager
def running(product: Product) -> Iterator[Product]:
    """Gateway, settlement and worker."""
    product.run("settlement")
    words = ["-m", "celery", "-A", "hontoni", "--quiet", "worker", "--pool", "threads"]
    with (product.home / "worker.log").open("wb") as log:
        product.processes["worker"] = subprocess.Popen(
            [sys.executable, *words, "-I", "tests.hontoni.naps"],
            env=product.environment, cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        product.start()
        yield product
    finally:
        product.stop()


def exact(product: Product, customers: list[Customer]) -> None:
    """Everybody was served or asked to come again, and what was served is in the books, once."""
    for customer in customers:
        customer.done.set()
    for customer in customers:
        customer.join(90)
        assert set(customer.answers) <= {200, 503}, customer.answers
    product.terminate()
    receipts = product.receipts()
    charged = {row["user_id"]: 0 for row in receipts}
    for row in receipts:
        charged[row["user_id"]] += row["cost"]
    assert sum(row["status"] == 200 for row in receipts) == sum(
        customer.answers[200] for customer in customers
    )
    wallets = product.rows("SELECT user_id, settled_total FROM billing_wallet")
    assert {row["user_id"]: row["settled_total"] for row in wallets} == charged
    assert b"The books balance" in product.manage("reconcile")


def test_a_cluster_that_loses_a_master_loses_no_charge(tmp_path: Path) -> None:
    with redis_servers.cluster(tmp_path / "redis") as cluster:
        product = Product(tmp_path, REDIS_URL=cluster.url)
        others = [product.customer(name) for name in ("bob", "carol")]
        places = {cluster.master_of(keys.tag(keys.shard(n))) for n in range(1, 4)}
        assert len(places) > 1  # not everybody is on one master
        with running(product):
            customers = [Customer(product, key) for key in (product.key, *others)]
            for customer in customers:
                customer.served(5)
            nap(product, "before")
            cluster.lose(cluster.master_of("{celery}"))
            for customer in customers:
                customer.served(5)
            nap(product, "after")
            product.manage("shell", "-v", "0", "-c", CACHED)
            exact(product, customers)


def test_a_failover_by_sentinels_loses_no_charge(tmp_path: Path) -> None:
    with redis_servers.sentinels(tmp_path / "redis") as watched:
        product = Product(tmp_path, REDIS_URL=watched.url)
        with running(product):
            customer = Customer(product, product.key)
            customer.served(5)
            nap(product, "before")
            watched.lose_master()
            customer.served(5)
            nap(product, "after")
            product.manage("shell", "-v", "0", "-c", CACHED)
            exact(product, [customer])
