"""AWS's binary stream, on bytes: as AWS's own library reads it, wherever it is cut."""

import base64
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from botocore.eventstream import EventStreamBuffer

from gateway.dialects.event_stream import Unframer
from sandbox.vendors.clouds import frames

STARTED = {"type": "message_start", "message": {"id": "msg_1", "text": "a\u2028é"}}
STOPPED = {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}}


def chunk(event: dict[str, Any]) -> bytes:
    return frames.event("chunk", {"bytes": base64.b64encode(orjson.dumps(event)).decode()})


CLAUDES = chunk(STARTED) + chunk(STOPPED)
OWN = (
    frames.event("messageStart", {"role": "assistant"})
    + frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hi"}})
    + frames.exception("throttlingException", {"message": "Slow down"})
)


def read(chunks: Iterable[bytes]) -> bytes:
    unframer = Unframer()
    told = b"".join(unframer.feed(each) for each in chunks)
    assert not unframer.is_open
    return told


def test_claudes_events_come_out_as_anthropic_sends_them() -> None:
    started = b"event: message_start\ndata: " + orjson.dumps(STARTED) + b"\n\n"
    stopped = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    assert read([CLAUDES]) == started + stopped  # and nothing of AWS's own


def test_converses_are_named_and_a_failure_is_told_in_anthropics_words() -> None:
    told = read([OWN]).split(b"\n\n")
    assert told[0] == b'event: messageStart\ndata: {"role":"assistant"}'
    assert told[1].startswith(b"event: contentBlockDelta\n")
    assert told[2].startswith(b"event: error\n")
    assert orjson.loads(told[2].partition(b"data: ")[2])["error"] == {
        "type": "rate_limit_error",
        "message": "Slow down",
    }


@pytest.mark.parametrize("stream", [CLAUDES, OWN])
def test_it_does_not_care_where_it_is_cut(stream: bytes) -> None:
    whole = read([stream])
    for cut in range(len(stream)):
        assert read([stream[:cut], stream[cut:]]) == whole
    assert read(stream[at : at + 1] for at in range(len(stream))) == whole


@pytest.mark.parametrize("stream", [CLAUDES, OWN])
def test_awss_own_library_finds_the_same_frames(stream: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    assert len(list(buffer)) == read([stream]).count(b"\n\n")


def test_one_bit_that_is_wrong_is_noticed() -> None:
    frame = OWN[: int.from_bytes(OWN[:4])]
    for at in range(len(frame)):
        wrong = frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]
        with pytest.raises(ValueError):
            read([wrong])


def test_half_a_frame_is_known_for_one() -> None:
    unframer = Unframer()
    assert unframer.feed(OWN[:30]) == b"" and unframer.is_open
