"""Sound is billed by its own price, held by what it may come to, and refused without a price."""

import base64
import wave
from io import BytesIO
from typing import Any

import pytest

from gateway.catalogue import snapshot
from gateway.catalogue.features.models import Feature
from hontoni.money import nanos
from tests.gateway.catalogue.features import vendor
from tests.gateway_server import Gateway, fund
from tests.money import law, world
from tests.money.rows import Rows
from tests.world import Person

pytestmark = pytest.mark.any_database


def recording(seconds: int, rate: int = 16_000, width: int = 2) -> str:
    file = BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(b"\x01" * seconds * rate * width)
    return base64.b64encode(file.getvalue()).decode()


def block(data: str, kind: str = "wav") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}


def asked(dialect: str, model: str, *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    text = {"type": "input_text" if dialect == "responses" else "text", "text": "[[say: ok]]"}
    said = [{"role": "user", "content": [*blocks, text]}]
    member = {"input": said} if dialect == "responses" else {"messages": said}
    return {"model": model, **member} | more


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["chat", "responses"])
@pytest.mark.parametrize("model", ["gemini-3-flash-preview", "gemini-2.5-pro"])
def test_what_gemini_heard_costs_what_hearing_costs(
    gateway: Gateway, alice: Person, model: str, dialect: str, stream: bool
) -> None:
    fund(alice, "50")
    body = asked(dialect, model, block(recording(60)), stream=stream)
    status, told = world.send(gateway, alice, dialect, body)
    assert status == 200, told
    event, heard = world.receipt(gateway), world.bill(gateway).calls["audio.input"]
    assert heard > 1_000
    plain = law.amount(Rows({}, {}, {}, {}, [], []), world.bill(gateway), event, ())
    assert plain == 0 and event.cost == world.due(gateway) <= event.hold
    beside = {"gemini-3-flash-preview": 150, "gemini-2.5-pro": 0}[model] * heard
    lines = event.details.get("lines", [])
    assert (
        sum(line["calls"] * line["amount"] for line in lines if line["kind"] == "calls") == beside
    )


@pytest.mark.parametrize(
    ("dialect", "model", "more"),
    [
        (dialect, model, {})
        for dialect in ("chat", "responses")
        for model in ("gpt-4o", "gpt-5.2", "claude-haiku-4.5")
    ],
)
def test_who_has_no_price_for_sound_is_not_asked_to_listen(
    gateway: Gateway, alice: Person, dialect: str, model: str, more: dict[str, Any]
) -> None:
    fund(alice, "50")
    status, told = world.send(gateway, alice, dialect, asked(dialect, model, block(recording(1))))
    assert (status, gateway.vendors.requests) == (400, []), told
    assert b"input_audio" in told or b"audio" in told


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.2", "gemini-2.5-pro", "claude-haiku-4.5"])
@pytest.mark.parametrize(
    "more",
    [
        {"modalities": ["text", "audio"], "audio": {"voice": "ash", "format": "mp3"}},
        {"audio": {"voice": "ash", "format": "mp3"}},
        {"modalities": ["text", "image"]},
    ],
)
def test_nobody_is_asked_to_speak_without_a_price(
    gateway: Gateway, alice: Person, model: str, more: dict[str, Any]
) -> None:
    fund(alice, "50")
    status, told = world.send(gateway, alice, "chat", asked("chat", model, **more))
    assert (status, gateway.vendors.requests) == (400, []), told


@pytest.mark.outside_the_law("its answer is made here")
@pytest.mark.parametrize("stream", [False, True])
def test_with_a_price_openais_sound_is_paid_by_it(
    gateway: Gateway, alice: Person, stream: bool
) -> None:
    """Staff sell a model that speaks: 37.50 and 70 dollars a million beside text."""
    fund(alice, "50")
    for name, amount in (("audio.input", 37_500), ("audio.output", 70_000)):
        Feature.objects.create(
            dialect="openai_chat", kind="counter", name=name, meter=name, pricing="per_call",
            amount=amount, most_calls=1, only_models="gpt-4o",
        )  # fmt: skip
    snapshot.forget()
    usage = {
        "prompt_tokens": 1_000, "completion_tokens": 300, "total_tokens": 1_300,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 900},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 250},
    }  # fmt: skip
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    chunk: dict[str, Any] = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
    }
    if stream:
        delta = {"role": "assistant", "content": "ok"}
        events = [
            chunk | {"choices": [choice | {"delta": delta}]},
            chunk | {"choices": [], "usage": usage},
        ]
        told = b"".join(b"data: " + vendor.dumps(each) + b"\n\n" for each in events)
        vendor.answers(gateway, told + b"data: [DONE]\n\n")
    else:
        message = {"role": "assistant", "content": "ok"}
        vendor.answers(
            gateway, chunk | {"choices": [choice | {"message": message}], "usage": usage}
        )
    body = asked("chat", "gpt-4o", block(recording(60)), max_tokens=500, stream=stream)
    body |= {"modalities": ["text", "audio"], "audio": {"voice": "ash", "format": "mp3"}}
    status, answer = world.send(gateway, alice, "chat", body)
    assert status == 200, answer
    event = world.receipt(gateway)
    text = 1_000 * event.price.input + 300 * event.price.output
    assert event.cost == text // 1_000_000 + 900 * 37_500 + 250 * 70_000
    assert event.hold >= 500 * 70_000 + event.cost


# Of 128 kbit/s at 44.1 kHz; and a tag of so many bytes behind its head.
FRAME, TAG = b"\xff\xfb\x90\x00" + bytes(413), b"ID3\x04\0\0\0\0\x01\x00" + bytes(128)


@pytest.mark.parametrize("tag", [b"", TAG, b"ID3\x04\0\0\0\x02\0\0" + bytes(32_768)])
def test_an_mp3_is_held_by_its_bytes(gateway: Gateway, alice: Person, tag: bytes) -> None:
    fund(alice, "50")
    data = base64.b64encode(tag + FRAME * 40).decode()
    body = asked("chat", "gemini-3-flash-preview", block(data, "mp3"))
    with gateway.http(alice) as http:
        told = http.post("/v1/estimate", json=body).json()
    assert len(data) <= told["max_input_tokens"] < len(data) + 2_000


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (recording(4_000, rate=1, width=1), "wav"),  # a second a byte
        (base64.b64encode(b"fLaC" + b"\0" * 500).decode(), "flac"),
        (base64.b64encode(b"OggS" + b"\0" * 500).decode(), "ogg"),
        (base64.b64encode(b"OggS" + b"\0" * 500).decode(), "mp3"),
        # What begins as an MP3 does: with its tag, as AAC does, or with one frame of it.
        (base64.b64encode(TAG + b"fLaC" + b"\0" * 500).decode(), "mp3"),
        (base64.b64encode(b"\xff\xf1\x6c\x40\x01\x5f\xfc" * 900).decode(), "mp3"),
        (base64.b64encode(TAG + FRAME + b"\xff\xf1\x6c\x40" * 900).decode(), "mp3"),
    ],
)
def test_silence_that_is_packed_into_nothing_is_held_as_the_whole_context(
    gateway: Gateway, alice: Person, data: str, kind: str
) -> None:
    fund(alice, "50")
    body = asked("chat", "gemini-3-flash-preview", block(data, kind))
    with gateway.http(alice) as http:
        told = http.post("/v1/estimate", json=body).json()
    assert told["max_input_tokens"] > 1_000_000
    assert nanos(told["hold"]) >= 1_000_000 * 300
