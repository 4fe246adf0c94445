"""Records: one answer of Responses, with what was asked, sealed; by account and id.

Written when the answer ends, before its client hears that it did. A record that is used lives on:
so does every one of the conversation behind it.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from hontoni import redis
from hontoni.vault import Unreadable, Vault
from ratelimits import keys

logger = logging.getLogger(__name__)

_KEEP = redis.Script(Path(__file__).parent / "keep.lua")
_vault = Vault("responses")
_LARGE = 16_384  # bytes; more are sealed and opened beside the event loop
_LONGEST_ID = 128


class Record(NamedTuple):
    """`input` are the items of this request alone, `chain` the ids of the records before it, the
    oldest first; `response` is the answer as its client has it."""

    id: str
    response: dict[str, Any]
    input: list[Any]
    chain: tuple[str, ...] = ()

    def items(self) -> list[Any]:
        """What this request added to the conversation, and what was answered."""
        return [*self.input, *(self.response.get("output") or ())]


def keeps() -> bool:
    """Whether anything is kept here at all."""
    return bool(settings.STATE_HOURS)


def _life() -> int:
    return int(settings.STATE_HOURS * 3600)


def _place(account: int, kind: str, name: str = "") -> str:
    return f"{keys.tag(keys.shard(account))}:{kind}:{account}:{name}"


async def keep(account: int, record: Record) -> None:
    """Keep it; another of its id is replaced. Raises RedisError."""
    raw = orjson.dumps(record._asdict())
    sealed = await _aside(_sealed, raw)
    await _KEEP.run(*_kept(account, record, sealed))


def _kept(account: int, record: Record, sealed: bytes) -> tuple[list[str], list[Any]]:
    found = [item for item in record.response.get("output") or () if isinstance(item, dict)]
    names = [str(item["id"])[:_LONGEST_ID] for item in found if item.get("id")]
    return (
        [
            _place(account, "resp", record.id),
            _place(account, "resps"),
            _place(account, "resp_sizes"),
            *(_place(account, "resp_item", name) for name in names),
        ],
        [
            sealed,
            _life(),
            int(time.time() * 1000),
            record.id,
            settings.STATE_ACCOUNT_BYTES,
            _place(account, "resp"),
        ],
    )


async def find(account: int, identity: str) -> Record | None:
    """The record of that id, alive for as long again; None if there is none."""
    (found,) = await find_all(account, [identity])
    return found


async def find_all(account: int, identities: Sequence[str]) -> list[Record | None]:
    """Those records, in the same order."""
    pipe, life = redis.pipe(), str(_life())
    requested = [
        pipe.execute("GETEX", _place(account, "resp", each[:_LONGEST_ID]), "EX", life)
        for each in identities
    ]
    return [await _aside(_opened, sealed) for sealed in await asyncio.gather(*requested)]


async def of_items(account: int, names: Iterable[str]) -> dict[str, str]:
    """The ids of the records in which those items are."""
    pipe, wanted = redis.pipe(), list(dict.fromkeys(names))
    requested = [
        pipe.execute("GET", _place(account, "resp_item", name[:_LONGEST_ID])) for name in wanted
    ]
    found = await asyncio.gather(*requested)
    return {n: each.decode() for n, each in zip(wanted, found, strict=True) if each is not None}


async def forget(account: int, identity: str) -> bool:
    """Whether there was such a record; there is none now."""
    pipe = redis.pipe()
    gone = pipe.execute("DEL", _place(account, "resp", identity[:_LONGEST_ID]))
    index = pipe.execute("ZREM", _place(account, "resps"), identity)
    sizes = pipe.execute("HDEL", _place(account, "resp_sizes"), identity)
    return bool((await asyncio.gather(gone, index, sizes))[0])


async def _aside(work: Any, data: Any) -> Any:
    if data is None or len(data) <= _LARGE:
        return work(data)
    return await asyncio.to_thread(work, data)


def _sealed(raw: bytes) -> bytes:
    return _vault.seal_bytes(zlib.compress(raw, 1))


def _opened(sealed: bytes | None) -> Record | None:
    if sealed is None:
        return None
    try:
        given = orjson.loads(zlib.decompress(_vault.unseal_bytes(sealed)))
    except (Unreadable, zlib.error, orjson.JSONDecodeError):
        return None  # of a key that is gone: as good as forgotten
    return Record(**given | {"chain": tuple(given["chain"])})


# -- for the pages


def identities(account: int) -> list[str]:
    """Of all records of an account that may be there still, the oldest first."""
    found = redis.sync().zrange(_place(account, "resps"), 0, -1)
    return [each.decode() for each in found]


def read(account: int, identity: str) -> Record | None:
    """The record of that id, for its owner's export."""
    return _opened(redis.sync().get(_place(account, "resp", identity)))


def forget_all(account: int) -> None:
    """An account has none any more. Where Valkey is away they end with their time."""
    client = redis.sync()
    try:
        for identity in identities(account):
            client.delete(_place(account, "resp", identity))
        client.delete(_place(account, "resps"))
        client.delete(_place(account, "resp_sizes"))
    except redis.RedisError:
        logger.exception("responses.unforgotten %d", account)
