"""The names of everything in Redis. The scripts' headers say what is inside.

Every key of an account carries the hash tag of its shard, `{s:NN}`, so that a Redis Cluster keeps
together what one script touches.
"""

from functools import lru_cache

SHARDS = 64


def shard(account: int) -> int:
    """The shard of an account."""
    return account % SHARDS


def tag(shard: int) -> str:
    """The hash tag of a shard."""
    return f"{{s:{shard:02d}}}"


def account(account: int) -> str:
    """The hash with an account's terms and money."""
    return f"{tag(shard(account))}:acct:{account}"


def open_requests(shard: int) -> str:
    """The sorted set of a shard's open requests by deadline."""
    return f"{tag(shard)}:running"


def epoch(shard: int) -> str:
    """The epoch a shard is in (docs/stores.md)."""
    return f"{tag(shard)}:epoch"


MARK = f"{tag(0)}:mark"  # the newest fact of the books that Redis was told of


def usage(shard: int) -> str:
    """The stream of a shard's usage events."""
    return f"{tag(shard)}:usage"


def request(account: int, request_id: str) -> str:
    """The record of one request of an account (or of any in its shard)."""
    return f"{{s:{account % SHARDS:02d}}}:request:{request_id}"


def spend(account: int, purse: str) -> str:
    """The hash with what a purse of an account has spent."""
    return f"{tag(shard(account))}:spend:{purse}"


def overflow(account: int, purse: str) -> str:
    """The hash with what a purse of an account has spent past its plan's windows."""
    return f"{tag(shard(account))}:overflow:{purse}"


def given(account: int) -> str:
    """The hash with what an account was given away today."""
    return f"{tag(shard(account))}:given:{account}"


@lru_cache(maxsize=65_536)
def of(account_id: int, subject: str, purse: str) -> tuple[str, str, str, str, str]:
    """The account, what its subject has counted, the log of its last minute, the shard's open
    requests and the purse: the same for every request of a subject."""
    here = tag(shard(account_id))
    return (
        account(account_id),
        f"{here}:subject:{subject}",
        f"{here}:log:{subject}",
        open_requests(shard(account_id)),
        spend(account_id, purse),
    )


# -- Of the release before -----------------------------------------------------------------------


def open_before(shard: int) -> str:
    """The sorted set of the open requests that the release before admitted, by deadline."""
    return f"{tag(shard)}:open"


def request_before(account: int, request_id: str) -> str:
    """The hash with the record of such a request."""
    return f"{tag(shard(account))}:req:{request_id}"


def counted_before(account: int, subject: str) -> tuple[str, str]:
    """The hash with the windows of a subject and the sorted set with its last minute, as that
    release counts them."""
    here = tag(shard(account))
    return f"{here}:windows:{subject}", f"{here}:rpm:{subject}"
