"""Recorded trouble, replayed: what a client sends, what the vendor answers, what should come back.

A case is a file in `cases/`: `about` is the sentence it proves, `send` the customer's request
(path, headers, body), `vendor` what a vendor answers in turn (`sse` a list of events, or of raw
texts; `json` a body, with its `status`), `expect` what should be true:

* `status` of the answer, `left_out` what its header names
* `sent` for each request that reached a vendor, and `reply` for the body that came back: `like`
  is a part of its JSON, `has` and `lacks` are texts in it
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from gateway.dialects import sse
from sandbox.vendors import anthropic, chat, gemini, responses
from sandbox.vendors.conversation import Sent
from sandbox.vendors.faults import Fault
from sandbox.vendors.recorder import Record
from sandbox.vendors.vendors import VendorError
from sandbox.vendors.wire import EVENT_STREAM

CASES = Path(__file__).parent / "cases"
_LINTS = {
    "/v1/chat/completions": chat,
    "/v1/responses": responses,
    "/v1/messages": anthropic,
}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    send: dict[str, Any]
    vendor: list[dict[str, Any]]
    expect: dict[str, Any]


def cases() -> list[Case]:
    """Every case, by name."""
    return [_read(path) for path in sorted(CASES.glob("*.json"))]


def _read(path: Path) -> Case:
    told = orjson.loads(path.read_bytes())
    return Case(path.stem, told["send"], told["vendor"], told["expect"])


def answers(case: Case) -> Iterator[Fault]:
    """What its vendor says, in turn."""
    for told in case.vendor:
        if "sse" in told:
            body = b"".join(map(_event, told["sse"]))
            yield Fault(headers={"content-type": EVENT_STREAM}, body=body)
        else:
            yield Fault(status=told.get("status", 200), body=orjson.dumps(told["json"]))


def _event(event: Any) -> bytes:
    if isinstance(event, str):
        return event.encode()
    return sse.encode(str(event.get("type") or ""), orjson.dumps(event))


def objection(sent: Record) -> str:
    """What the vendor would say to what it was sent; "" if nothing."""
    dialect: Any = _LINTS.get(sent.path, gemini)
    model = sent.body.get("model") or sent.path.rpartition("/")[2].partition(":")[0]
    try:
        dialect.check(Sent(sent.body, sent.headers, model, path=sent.path))
    except VendorError as error:
        return error.message
    return ""


def holds(expected: dict[str, Any], text: str, json: Any, where: str) -> None:
    """Assert what is expected of a body."""
    for each in expected.get("has", ()):
        assert each in text, f"{where}: {each!r} is not in {text}"
    for each in expected.get("lacks", ()):
        assert each not in text, f"{where}: {each!r} is in {text}"
    if "like" in expected:
        _like(expected["like"], json, where)


def _like(wanted: Any, found: Any, where: str) -> None:
    if isinstance(wanted, dict):
        assert isinstance(found, dict), f"{where}: {found!r}"
        for name, value in wanted.items():
            assert name in found, f"{where}.{name} is missing: {found!r}"
            _like(value, found[name], f"{where}.{name}")
    elif isinstance(wanted, list):
        assert isinstance(found, list) and len(found) == len(wanted), f"{where}: {found!r}"
        for at, (each, other) in enumerate(zip(wanted, found, strict=True)):
            _like(each, other, f"{where}[{at}]")
    else:
        assert found == wanted, f"{where}: {found!r}"


def send(http: httpx.Client, case: Case) -> httpx.Response:
    """The customer's request."""
    return http.post(
        case.send["path"], json=case.send["body"], headers=case.send.get("headers") or {}
    )
