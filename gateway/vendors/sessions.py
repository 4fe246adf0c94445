"""Which session a request belongs to, and which credential a session keeps to.

A vendor's prompt cache is its account's, so the requests of one session go to one credential.
Rendezvous hashing needs no memory of it: every node comes to the same order, and a credential
that is added or taken away moves no session but those it gets or had.
"""

import math
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import orjson

_PROMPTS = ("messages", "input", "contents", "prompt")
_BITS = 52  # of the digest: so many and a half fit a float


def key(parsed: Mapping[str, Any], headers: Mapping[bytes, bytes], account: int) -> bytes:
    """What stays the same throughout a session: what the client calls it, else how its prompt
    begins, up to the user's first word."""
    named = _named(parsed) or headers.get(b"x-session-id") or b""
    return b"%d:%s" % (account, named or _beginning(parsed))


def _named(parsed: Mapping[str, Any]) -> bytes:
    metadata = parsed.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    for raw in (parsed.get("prompt_cache_key"), user):
        if isinstance(raw, str) and raw:
            return raw.encode("utf-8", "surrogatepass")
    return b""


def _beginning(parsed: Mapping[str, Any]) -> bytes:
    prompt = next((found for name in _PROMPTS if (found := parsed.get(name))), None)
    begun = list(_until_user(prompt)) if isinstance(prompt, list) else str(prompt)[:4096]
    said = (parsed.get("system"), parsed.get("instructions"), begun)
    if "systemInstruction" in parsed:
        said = (parsed["systemInstruction"], None, begun)
    try:
        return blake2b(orjson.dumps(said), digest_size=16).digest()
    except orjson.JSONEncodeError:  # half an emoji, which agents do send
        return blake2b(repr(said).encode("utf-8", "replace"), digest_size=16).digest()


def _until_user(items: list[Any]) -> Iterable[Any]:
    for item in items:
        yield item
        if isinstance(item, Mapping) and item.get("role") == "user":
            return


def score(session: bytes, salt: bytes, weight: int) -> float:
    """How much this session wants that credential: the highest score gets it. Over all sessions
    each credential gets its share by weight."""
    digest = int.from_bytes(blake2b(salt + b"\0" + session, digest_size=8).digest())
    return -weight / math.log(((digest >> (64 - _BITS)) + 0.5) / 2**_BITS)
