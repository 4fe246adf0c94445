"""The whole product on a real Redis Cluster, and on a service that real Sentinels watch, told of
it by REDIS_URL alone: a master is killed under traffic, and the books are exact."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ratelimits import keys
from tests.faults import redis_servers
from tests.product import ROOT, Product
from tests.traffic import Customer, exact
from tests.waiting import until

pytestmark = pytest.mark.timeout(600)
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
    with product._log("worker").open("wb") as log:
        product.processes["worker"] = subprocess.Popen(
            [sys.executable, *words, "-I", "tests.hontoni.naps"],
            env=product.environment, cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        product.start()
        yield product
    finally:
        product.stop()


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
            assert {status for each in customers for status in each.answers} <= {200, 503}


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
            assert set(customer.answers) <= {200, 503}
