"""What REDIS_URL may say, and what is refused with a sentence."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from hontoni import redis_address, redis_settings
from hontoni.checks import redis_servers
from tests.faults.redis_servers import SERVICE, Server, sentinel
from tests.ports import free_port
from tests.product import ROOT
from tests.waiting import until


def test_a_cluster_is_known_by_any_of_its_nodes() -> None:
    found = redis_address.read("rediss+cluster://me:p%40ss@one:7000,two,[::1]:7001/?health=1")
    assert (found.kind, found.tls) == ("cluster", True)
    assert found.hosts == (("one", 7000), ("two", 6379), ("::1", 7001))
    assert found.options() == {"username": "me", "password": "p@ss", "db": 0, "health": "1"}


def test_a_service_is_known_by_its_sentinels() -> None:
    url = "redis+sentinel://me:secret@one,two:5000/books/3?sentinel_password=hush"
    found = redis_address.read(url)
    assert (found.kind, found.tls, found.service) == ("sentinel", False, "books")
    assert found.hosts == (("one", 26379), ("two", 5000))
    assert found.options() == {"username": "me", "password": "secret", "db": 3}
    assert found.sentinel == (("password", "hush"),)


@pytest.mark.parametrize("url", ["redis://one:1/2", "rediss://one", "unix:///a/socket?db=4"])
def test_one_server_is_redis_pys_own_business(url: str) -> None:
    found = redis_address.read(url)
    assert (found.kind, found.url) == ("server", url)


@pytest.mark.parametrize(
    ("url", "cluster", "sentence"),
    [
        ("redis+cluster://one/3", False, "a cluster has database 0"),
        ("redis://one/3", True, "a cluster has database 0"),
        ("redis+cluster:///0", False, "names no host"),
        ("redis+cluster://one:port", False, "one:port"),
        ("redis+sentinel://one:26379", False, "ends with the service"),
        ("redis+sentinel://one/books/first", False, "ends with the service"),
        ("unix:///a/socket", True, "REDIS_CLUSTER wants"),
        ("redis-cluster://one", False, "it begins with redis://"),
        ("localhost:6379", False, "it begins with redis://"),
        ("redis://one?socket_timeout=soon", False, "socket_timeout"),
    ],
)
def test_what_leads_nowhere_is_refused_with_a_sentence(
    url: str, cluster: bool, sentence: str
) -> None:
    with pytest.raises(redis_address.Unfit, match=sentence):
        redis_address.read(url, cluster=cluster)


def test_broker_and_cache_keep_together_what_they_have_in_a_cluster() -> None:
    there = redis_settings.broker("redis+cluster://one:7000")
    assert there is not None and there.kind == "cluster"
    cache = redis_settings.cache(there)
    assert cache["KEY_PREFIX"] == "{cache}"
    assert redis_settings.broker("amqp://elsewhere") is None


@pytest.mark.parametrize("setting", ["REDIS_URL", "CACHE_URL", "BROKER_URL"])
def test_nothing_starts_with_an_address_that_leads_nowhere(tmp_path: Path, setting: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path),
        "REDIS_URL": "redis://localhost",
        setting: "redis+sentinel://one",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert f"{setting}: it ends with the service that the Sentinels watch" in last


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """One server of each kind, by what it says it is."""
    folder = tmp_path_factory.mktemp("servers")
    single = Server(folder, free_port(), {})
    bus = str(free_port())
    node = Server(folder, free_port(), {"cluster-enabled": "yes", "cluster-port": bus})
    servers = {"standalone": single, "cluster": node}
    try:
        for server in servers.values():
            until(server.answers, "a server did not start")
        servers["sentinel"] = sentinel(folder, single.port)
        yield {name: server.port for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.kill()


@pytest.mark.parametrize(
    ("url", "server", "sentence"),
    [
        ("redis://127.0.0.1:{}/0", "standalone", ""),
        ("redis+cluster://127.0.0.1:{}", "cluster", ""),
        (f"redis+sentinel://127.0.0.1:{{}}/{SERVICE}", "sentinel", ""),
        ("redis://127.0.0.1:{}/0", "cluster", "a node of a Redis Cluster: write redis+cluster://"),
        ("redis://127.0.0.1:{}/0", "sentinel", "a Sentinel: write redis+sentinel://"),
        ("redis+cluster://127.0.0.1:{}", "standalone", "one server: write redis://"),
        ("redis+sentinel://127.0.0.1:{}/books", "standalone", "one server: write redis://"),
    ],
)
def test_servers_that_are_not_what_their_address_says_are_refused(
    settings: Settings, ports: dict[str, int], url: str, server: str, sentence: str
) -> None:
    settings.EMBEDDED_REDIS = False
    settings.REDIS_URL = settings.BROKER_URL = settings.CACHE_URL = url.format(ports[server])
    found = [error.msg for error in redis_servers()]
    assert len(found) == bool(sentence)
    assert all(f"REDIS_URL leads to {sentence}" in text for text in found)


def test_a_server_that_is_away_is_waited_for(settings: Settings) -> None:
    settings.EMBEDDED_REDIS = False
    settings.REDIS_URL = settings.BROKER_URL = settings.CACHE_URL = (
        f"redis://127.0.0.1:{free_port()}"
    )
    assert redis_servers() == []
