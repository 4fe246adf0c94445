"""A thousand streams left at random moments: what was estimated adds up to what was generated.

Where a vendor's final number is not waited for, our estimate may be off: by at most a quarter in
one case, and by 5 % in all (the fair-billing page).
"""

import http.client
import os
import random
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from gateway.metering import calibration
from gateway.plane import watching
from tests.gateway_server import Gateway, fund, settled
from tests.money import law, world
from tests.money.rows import Rows
from tests.world import Person

pytestmark = [
    pytest.mark.money,
    pytest.mark.any_database,
    pytest.mark.outside_the_law("each cut is held to the law for cuts here"),
]
CUTS = int(os.environ.get("CUTS", "1000"))
SEED = int(os.environ.get("FREE_RIDER_SEED", "0")) or random.randrange(1, 2**32)
_AT_ONCE = 200
_PACE = 0.03  # seconds a word: slow beside the time it takes to notice that somebody left
_SPEED = 8_000  # tokens of reasoning a second, of every vendor
_LONGEST = 8.0  # seconds
_WORDS = ("a", "gateway", "whose", "bill", "you", "can", "prove", "to", "the", "last", "token")
_LANES: list[tuple[str, str, dict[str, Any]]] = [
    ("chat", "gpt-4o", {}),
    ("messages", "claude-haiku-4.5", {}),
    ("chat", "claude-opus-4.5", {}),
    ("responses", "gemini-3-flash-preview", {}),
    ("messages", "gpt-4o-mini", {}),
    ("responses", "gpt-5.2", {"reasoning": {"effort": "high"}}),
    ("chat", "gpt-5.2:high", {}),
    ("messages", "claude-opus-4.6", {"thinking": {"type": "adaptive"}}),
]


def _text(dice: random.Random) -> str:
    """Up to four seconds of talk, after up to six of reasoning."""
    said = " ".join(dice.choices(_WORDS, k=dice.randint(20, 120)))
    seconds = dice.uniform(3.0, 6.0)
    thought = f"[[think: Hm.]] [[reason: {int(seconds * _SPEED)}]] [[ponder: {seconds}]]"
    return f"{thought} [[say: {said}]]" + "!" * dice.randint(0, 500)


def _stream(gateway: Gateway, person: Person, lane: Any, dice: random.Random, most: float) -> None:
    """One stream, left within so many seconds of its first byte, or at its end."""
    dialect, model, more = lane
    body = world.asked(dialect, model, _text(dice), **more) | {"stream": True}
    where = urlsplit(gateway.url)
    line = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)
    headers = {"authorization": f"Bearer {person.raw}", "content-type": "application/json"}
    line.request("POST", world.PATHS[dialect], orjson.dumps(body), headers)
    reply = line.getresponse()
    assert reply.status == 200, reply.read()
    until = time.monotonic() + dice.uniform(0, most)
    with reply, suppress(TimeoutError):
        while (left := until - time.monotonic()) > 0:
            line.sock.settimeout(left)  # in mid-silence, too: while it reasons nothing comes
            if not reply.read1(65_536):
                break
    line.close()


def _streams(gateway: Gateway, person: Person, lanes: Iterable[Any], most: float) -> None:
    dice = random.Random(SEED)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        running = [
            threads.submit(_stream, gateway, person, lane, random.Random(dice.random()), most)
            for lane in lanes
        ]
    for stream in running:
        stream.result()
    settled(gateway.vendors, 60)


def test_a_thousand_cuts(gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "WATCH_AFTER_SECONDS", 0.001)
    monkeypatch.setattr(gateway.vendors.sandbox, "pace", _PACE)
    meter = gateway.vendors.sandbox.meter
    meter.history = CUTS + 1_000
    world.unlimited()
    fund(alice, "10000")
    calibration.forget()
    for _, model, _more in _LANES:  # heard before; what this machine adds is learnt here
        calibration.of(model.partition(":")[0]).thought(3 * _SPEED, 3)
    _streams(gateway, alice, _LANES * (_AT_ONCE // len(_LANES)), 1_000)
    meter.clear()
    _streams(gateway, alice, random.Random(SEED).choices(_LANES, k=CUTS), _LONGEST)
    rows, bills = Rows.read(), meter.bills
    events = {event.upstream_request_id: event for event in gateway.books()}
    assert len(bills) == CUTS
    breaches = list(law.breaches(rows, bills, list(events.values())))
    told = "\n".join(map(str, sorted(breaches, key=lambda breach: breach.ratio)[:5]))
    assert not breaches, f"{len(breaches)} of {CUTS}, seed {SEED}:\n{told}"
    cut = [bill for bill in bills if bill.left and events[bill.request_id].estimated]
    due = sum(law.due(rows, bill, events[bill.request_id]) for bill in cut)
    charged = sum(events[bill.request_id].cost for bill in cut)
    assert len(cut) > CUTS // 4
    assert 0.95 <= charged / due <= 1.05, f"{charged / due:.3f} of {len(cut)} cuts, seed {SEED}"
