"""Reasoning secrets on their way through a client that cannot read them.

A signature is valid only for the vendor and the model that made it, so it travels sealed with
both, and is dropped where it does not belong. Nothing here invents one (protocols.md rule 3).
A sealed carrier is `hn1.` + base64url(json) + `.` + base64url(HMAC): URL-safe throughout.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace

import orjson

from gateway.dialects.ir import Carrier, Item, Reasoning, Request, Target, ToolCall

PREFIX = "hn1."


def seal(carrier: Carrier, key: bytes) -> str:
    """What the client keeps for us. The same carrier and key always give the same text."""
    body = orjson.dumps(carrier, option=orjson.OPT_SORT_KEYS)
    return f"{PREFIX}{_b64(body)}.{_b64(_mac(body, key))}"


def open(text: str, key: bytes) -> Carrier | None:
    """The carrier that was sealed with `key`; None for anything else."""
    if not text.startswith(PREFIX):
        return None
    body, _, mac = text[len(PREFIX) :].partition(".")
    try:
        raw, given = _bytes(body), _bytes(mac)
    except (binascii.Error, ValueError):
        return None
    if not hmac.compare_digest(given, _mac(raw, key)):
        return None
    fields = orjson.loads(raw)
    return Carrier(**fields | {"texts": tuple(fields["texts"])})


def closed(text: str, vendor: str, form: str) -> Carrier:
    """What a client sent back: a sealed carrier, to be opened later, or `vendor`'s own secret."""
    if text.startswith(PREFIX):
        return Carrier("", "", "sealed", text)
    return Carrier(vendor, "", form, text)


def fitting(carriers: Iterable[Carrier], target: Target) -> list[Carrier]:
    """Those that `target` itself made, opened. The others are dropped, never sent."""
    opened = (open(c.data, target.key) if c.form == "sealed" else c for c in carriers)
    return [c for c in opened if c is not None and _fits(c, target)]


def stripped(request: Request) -> Request:
    """The request without any secret, for the one retry after an upstream called one stale."""
    items = (_bare(item) for item in request.items)
    return replace(request, items=tuple(items))


def _bare(item: Item) -> Item:
    return replace(item, carriers=()) if isinstance(item, Reasoning | ToolCall) else item


def _fits(carrier: Carrier, target: Target) -> bool:
    return (
        carrier.form != "plain"
        and carrier.vendor == target.vendor
        and carrier.model in ("", target.model)
        and (not carrier.account or not target.account or carrier.account == target.account)
    )


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
