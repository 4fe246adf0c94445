"""A request that points at what was kept, made whole.

The conversation before `previous_response_id` stands in front of its input, and each reference to
an item is that item. What is pointed at and is not there is refused in OpenAI's own words, whose
documented remedy is to send the whole input; but for reasoning: an answer can do without it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from gateway.state import records
from gateway.state.records import Record
from hontoni.errors import BadRequest, TooLarge

_MOST = 500  # records behind one request
_MOST_ITEMS = 10_000  # that one request points at
_DISPENSABLE = "rs_"


class Whole(NamedTuple):
    """`body` is the request with all of its input, `own` the items that it adds itself, `chain`
    the ids of the records before it."""

    body: dict[str, Any]
    own: list[Any]
    chain: tuple[str, ...]


def points(body: Mapping[str, Any]) -> bool:
    """Whether it points at something kept: nearly never."""
    if body.get("previous_response_id"):
        return True
    given = body.get("input")
    return type(given) is list and any(map(is_reference, given))


def is_reference(item: Any) -> bool:
    """An item that only points at one: its type may be left out."""
    return type(item) is dict and (item.get("type") == "item_reference" or item.keys() == {"id"})


async def whole(account: int, body: dict[str, Any]) -> Whole:
    """The request with everything it points at. Raises BadRequest, and RedisError."""
    own = items(body.get("input"))
    before: list[Record] = []
    if previous := body.get("previous_response_id"):
        before = await _chain(account, str(previous))
    if any(map(is_reference, own)):
        own = await _resolved(account, own)
    found_there = [item for record in before for item in record.items()]
    rest = {name: value for name, value in body.items() if name != "previous_response_id"}
    return Whole(
        rest | {"input": [*found_there, *own]}, own, tuple(record.id for record in before)
    )


def items(given: Any) -> list[Any]:
    """An input as a list: a text is what a user says."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}] if given else []
    return list(given) if isinstance(given, list) else []


async def _chain(account: int, previous: str) -> list[Record]:
    last = await records.find(account, previous)
    if last is None:
        raise _missing("previous_response_id", previous)
    if len(last.chain) >= _MOST:
        raise BadRequest(
            f"previous_response_id: more than {_MOST} responses stand behind it.",
            param="previous_response_id",
        )
    if last.response.get("status") in ("queued", "in_progress"):
        raise BadRequest(
            f"previous_response_id: {previous} is not over yet.", param="previous_response_id"
        )
    found: list[Record] = []
    for name, record in zip(last.chain, await records.find_all(account, last.chain), strict=True):
        if record is None:
            raise _missing("previous_response_id", name)
        found.append(record)
    return [*found, last]


async def _resolved(account: int, own: list[Any]) -> list[Any]:
    names = [str(item.get("id")) for item in own if is_reference(item)]
    if len(set(names)) > _MOST_ITEMS:
        raise TooLarge(f"A request may point at {_MOST_ITEMS} items.", param="input")
    places = await records.of_items(account, names)
    holders = list(dict.fromkeys(places.values()))
    found = _by_id(await records.find_all(account, holders))
    _check_size(each for name in names if (each := found.get(name)) is not None)
    found_there: list[Any] = []
    for at, item in enumerate(own):
        name = str(item.get("id")) if is_reference(item) else ""
        if not name:
            found_there.append(item)
        elif name in found:
            found_there.append(found[name])
        elif not name.startswith(_DISPENSABLE):
            raise _missing(f"input[{at}]", name)
    return found_there


def _check_size(items: Iterable[Any]) -> None:
    """Raises TooLarge where references come to more than a body may have: one item may be pointed
    at as often as one likes, in a few letters."""
    sizes: dict[int, int] = {}
    total = 0
    for item in items:
        if id(item) not in sizes:
            sizes[id(item)] = len(orjson.dumps(item))
        total += sizes[id(item)]
        if total > settings.MAX_BODY_BYTES:
            raise TooLarge("What this request points at is too large.", param="input")


def _by_id(held: Iterable[Record | None]) -> dict[str, Any]:
    each = (item for record in held if record is not None for item in record.items())
    return {str(item["id"]): item for item in each if isinstance(item, dict) and item.get("id")}


def _missing(param: str, name: str) -> BadRequest:
    return BadRequest(
        f"{param}: {name[:100]} is not kept here (any more); send the whole input instead",
        param=param,
        code="previous_response_not_found",
    )
