"""Both stores, to be lost and brought back to a moment before, within milliseconds."""

import sqlite3
from typing import Any, NamedTuple

from django.db import connection

from hontoni import redis


class Moment(NamedTuple):
    """What Valkey held: value and time to live (ms) by key."""

    values: dict[bytes, tuple[bytes, int]]


def save_valkey() -> Moment:
    client = redis.sync()
    names = list(client.scan_iter(count=10_000))
    with client.pipeline(transaction=False) as batch:
        for name in names:
            batch.dump(name).pttl(name)
        found = batch.execute()
    pairs = zip(names, found[::2], found[1::2], strict=True)
    return Moment({name: (value, max(ttl, 0)) for name, value, ttl in pairs if value})


def restart_valkey(moment: Moment) -> None:
    """As a server that comes back with what it held then, or a replica that is promoted: another
    life, which knows no script and no connection."""
    client = redis.sync()
    client.flushall()
    with client.pipeline(transaction=False) as batch:
        for name, (value, ttl) in moment.values.items():
            batch.restore(name, ttl, value)
        batch.execute()
    promote_valkey()


def promote_valkey() -> None:
    """The same life of the data, and another one of the server."""
    client = redis.sync()
    client.script_flush()
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    client.execute_command("REPLICAOF", "NO", "ONE")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def wipe_valkey() -> None:
    redis.sync().flushall()


def save_database() -> Any:
    """SQLite only: a copy of the file, in memory."""
    connection.ensure_connection()
    copy = sqlite3.connect(":memory:", check_same_thread=False)
    connection.connection.backup(copy)
    return copy


def restore_database(copy: Any) -> None:
    connection.ensure_connection()
    copy.backup(connection.connection)
