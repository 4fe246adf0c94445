"""A moment of `make fuzz`: the targets hold for seeds, and for what is made of them."""

import random

import pytest

from sandbox.vendors.clouds import frames
from tests.fuzz.targets import TARGETS

_BEGUN = b'{"type":"message_start","message":{"id":"m","usage":{}}}'
_SSE = b"\x03event: message_start\r\ndata: " + _BEGUN + b"\r\n\r\n"
_CHAT = b'\x07data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n'
_FRAMES = frames.event("messageStart", {"role": "assistant"}) + frames.event("metadata", {})
SEEDS = {
    "splitter": [
        b"",
        b"\x01",
        b"\x02data: a\r\n\r\ndata: b\n\n",
        b"\x00\xef\xbb\xbfdata: \r\r: c\n",
    ],
    "unframing": [b"", b"\x05" + _FRAMES, b"\x00" + _FRAMES[:-1]],
    "patching": [b"", b"{}", b' {"model" : "a", "b":[1]} ', b'{"a":1,"a":2,"model":null}', b"[]"],
    "http_answer": [
        b"",
        b"\x05HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 500 x\r\n\r\n",
        b"\x01HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
    "requests": [b'{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}', b"{}"],
    "streams": [
        b"",
        _SSE,
        b'\x07data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n',
    ],
}


def spoiled(seed: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, lost or doubled."""
    data = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.randint(0, 3)] = chance.choice(
            [b"", b"{", b"}", b'"', b"\r", b"\n", b"\x00", b"\xff", b"null", b"-1", b"1e999", seed]
        )
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_a_moment(name: str) -> None:
    chance = random.Random(7)
    for seed in SEEDS[name]:
        TARGETS[name](seed)
        for _ in range(25):
            TARGETS[name](spoiled(seed, chance))
