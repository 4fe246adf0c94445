"""What is no conversation: embedded, judged, drawn, heard and spoken, billed to the unit. Every
receipt is held to the vendor's own meter when a test ends."""

import io
import json
import struct
import wave
from base64 import b64decode
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.genai import types
from openai import BadRequestError, PermissionDeniedError

from accounts.models import ApiKey
from hontoni.money import nanos
from sandbox.vendors.faults import Fault
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

EMBEDDERS = ("text-embedding-3-small", "text-embedding-3-large", "gemini-embedding-001")


def recording(seconds: float) -> bytes:
    """A WAV of silence."""
    kept = io.BytesIO()
    with wave.open(kept, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(int(16_000 * seconds)))
    return kept.getvalue()


def post(gateway: Gateway, person: Person, path: str, **body: Any) -> Any:
    with gateway.http(person) as client:
        return client.post(path, json=body)


# -- Embeddings


@pytest.mark.parametrize("model", EMBEDDERS)
def test_openais_sdk_embeds_with_any_model_and_pays_the_list_price_of_its_tokens(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "1")
    client = gateway.openai(alice)
    texts = ["Xin chào", "thế giới"]
    packed = client.embeddings.create(model=model, input=texts)  # base64, as the SDK asks for it
    plain = client.embeddings.create(model=model, input=texts, encoding_format="float")
    assert packed.data == plain.data and packed.usage == plain.usage
    assert [each.index for each in plain.data] == [0, 1] and plain.model == model
    small = client.embeddings.create(model=model, input="a", dimensions=8)
    assert len(small.data[0].embedding) == 8
    first, *_ = gateway.books()
    rate = {"text-embedding-3-small": 20, "text-embedding-3-large": 130}.get(model, 150)
    assert first.cost == first.input * rate and first.input == plain.usage.prompt_tokens > 0
    assert (first.dialect, first.estimated, first.hold > first.cost) == (
        "openai_embeddings", False, True,
    )  # fmt: skip


@pytest.mark.parametrize("model", EMBEDDERS)
def test_googles_sdk_embeds_with_any_model(gateway: Gateway, alice: Person, model: str) -> None:
    fund(alice, "1")
    texts: Any = ["a", "b"]
    config = types.EmbedContentConfig(output_dimensionality=8)
    with gateway.google(alice.raw) as client:
        reply = client.models.embed_content(model=model, contents=texts, config=config)
    assert [len(each.values or ()) for each in reply.embeddings or ()] == [8, 8]
    (event,) = gateway.books()
    assert (event.dialect, event.cost > 0) == ("gemini_embeddings", True)


def test_more_tokens_than_any_model_takes_are_not_looked_at(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "5")
    body = b'{"model": "text-embedding-3-small", "input": [1%s]}' % (b",1" * 600_001)
    with gateway.http(alice) as client:
        answer = client.post("/v1/embeddings", content=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (413, "input")
    assert gateway.vendors.requests == [] and gateway.books() == []


def test_tokens_are_embedded_where_the_vendor_takes_them(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    path = "/v1/embeddings"
    reply = post(gateway, alice, path, model="text-embedding-3-small", input=[[1, 2, 3], [4]])
    assert len(reply.json()["data"]) == 2 and reply.json()["usage"]["prompt_tokens"] == 4
    refused = post(gateway, alice, path, model="gemini-embedding-001", input=[1, 2, 3])
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_parameter")


@pytest.mark.parametrize("given", ["", [], [""], [["a"]], {"a": 1}, 7, ["a", 1]])
def test_an_input_that_is_none_is_refused_before_it_costs(
    gateway: Gateway, alice: Person, given: Any
) -> None:
    fund(alice, "1")
    reply = post(gateway, alice, "/v1/embeddings", model="text-embedding-3-small", input=given)
    assert reply.status_code == 400 and gateway.vendors.requests == []
    assert gateway.books() == []


def test_vectors_of_gemini_are_packed_as_openai_packs_them(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "1")
    body = {"model": "gemini-embedding-001", "input": "a", "dimensions": 4}
    plain = post(gateway, alice, "/v1/embeddings", **body).json()["data"][0]["embedding"]
    packed = post(gateway, alice, "/v1/embeddings", encoding_format="base64", **body).json()
    assert list(struct.unpack("<4f", b64decode(packed["data"][0]["embedding"]))) == plain


def test_what_a_vendor_does_not_tell_is_estimated_and_labelled(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.plane.endpoints import embeddings

    fund(alice, "1")
    monkeypatch.setattr(embeddings, "_tokens", lambda told, name, size: (size // 3 + 1, True))
    assert post(
        gateway, alice, "/v1/embeddings", model="text-embedding-3-small", input="hello there"
    ).is_success
    (event,) = gateway.books()
    assert event.estimated and event.cost > 0


# -- Moderation, pictures


def test_a_moderation_is_free_for_whoever_has_a_key(gateway: Gateway, bob: Person) -> None:
    client = gateway.openai(bob)
    reply = client.moderations.create(input=["do no harm", "hello"])
    assert [each.flagged for each in reply.results] == [True, False]
    (event,) = gateway.books()
    assert (event.cost, event.hold, event.model) == (0, 0, "omni-moderation-latest")


@pytest.mark.parametrize(
    ("model", "options", "dollars"),
    [
        ("gpt-image-1", {"quality": "low", "size": "1024x1024", "n": 2}, "0.021770"),
        ("gpt-image-1", {}, "0.249610"),
        ("gpt-image-1-mini", {"quality": "medium", "size": "1536x1024"}, "0.012548"),
        ("dall-e-3", {}, "0.04"),
        ("dall-e-3", {"quality": "hd", "size": "1024x1792"}, "0.12"),
    ],
)
def test_a_picture_costs_what_its_vendor_takes_for_it(
    gateway: Gateway, alice: Person, model: str, options: dict[str, Any], dollars: str
) -> None:
    fund(alice, "10")
    reply = gateway.openai(alice).images.generate(model=model, prompt="A boat.", **options)
    assert len(reply.data or ()) == options.get("n", 1)
    (event,) = gateway.books()
    assert event.cost == nanos(dollars)
    assert event.cost <= event.hold < 2 * event.cost


def test_a_picture_is_held_for_in_full_or_not_drawn(gateway: Gateway, alice: Person) -> None:
    fund(alice, "0.05")
    reply = post(gateway, alice, "/v1/images/generations", model="gpt-image-1", prompt="A boat.")
    assert (reply.status_code, reply.json()["error"]["code"]) == (402, "insufficient_balance")
    for odd in ({"n": 11}, {"n": 0}, {"stream": True}, {"prompt": ""}):
        body = {"model": "gpt-image-1", "prompt": "A boat.", **odd}
        assert post(gateway, alice, "/v1/images/generations", **body).status_code == 400
    size = post(gateway, alice, "/v1/images/generations", model="dall-e-3", prompt="a", size="9x9")
    assert size.status_code == 400
    assert gateway.vendors.requests == [] and gateway.books() == []


# -- Sound


@pytest.mark.parametrize("form", ["json", "text", "srt", "verbose_json", "vtt"])
def test_whisper_is_billed_by_the_second_whatever_form_is_wanted(
    gateway: Gateway, alice: Person, form: Any
) -> None:
    fund(alice, "1")
    client = gateway.openai(alice)
    reply = client.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", recording(61.4)), response_format=form
    )
    text = reply if isinstance(reply, str) else reply.text
    assert "Xin chào." in text
    if form in ("srt", "vtt"):
        mark = "," if form == "srt" else "."
        assert f"00:00:00{mark}000 --> 00:01:01{mark}400" in text
    (event,) = gateway.books()
    assert event.cost == nanos("0.0061") and event.cost < event.hold
    assert event.details["lines"][-1]["calls"] == 61


def test_what_is_no_mp3_but_begins_as_one_is_held_for_hours(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    client = gateway.openai(alice)
    frame = b"\xff\xfb\x90\x00" + bytes(413)
    four_hours = nanos("1.44")
    for sound, held in (
        (frame * 40, 17 * 100_000),  # a second has a thousand bytes at least
        (b"ID3\x04\0\0\0\0\0\0fLaC" + bytes(900), four_hours),
        (b"\xff\xf1\x6c\x40" * 900, four_hours),
        (frame + b"\xff\xf1\x6c\x40" * 900, four_hours),
    ):
        client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", sound))
        assert gateway.books()[-1].hold == held, sound[:12]


def test_a_transcription_by_tokens_prices_sound_and_text_apart(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "1")
    client = gateway.openai(alice)
    sound = ("a.wav", recording(12))
    for form in ("json", "text"):
        reply = client.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=sound, prompt="Names: Hà Nội", response_format=form
        )
        assert "Xin chào." in (reply if isinstance(reply, str) else reply.text)
    first, second = gateway.books()
    assert first.cost == second.cost > 0
    assert {line.get("name") for line in first.details["lines"]} == {None, "audio.input"}


def test_a_form_is_bounded_and_must_have_a_file(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    path = "/v1/audio/transcriptions"
    with gateway.http(alice) as client:
        bare = client.post(path, json={"model": "whisper-1"})
        empty = client.post(path, data={"model": "whisper-1"}, files={"other": b"a"})
        streamed = {"model": "whisper-1", "stream": "true"}
        odd = client.post(path, data=streamed, files={"file": b"a"})
        large = client.post(
            path, data={"model": "whisper-1"}, files={"file": bytes(26 * 1024 * 1024)}
        )
    assert [each.status_code for each in (bare, empty, odd, large)] == [400, 400, 400, 413]
    assert gateway.vendors.requests == [] and gateway.books() == []


@pytest.mark.parametrize(("model", "each"), [("tts-1", 15_000), ("tts-1-hd", 30_000)])
def test_speech_is_billed_by_the_character(
    gateway: Gateway, alice: Person, model: str, each: int
) -> None:
    fund(alice, "1")
    client = gateway.openai(alice)
    spoken = client.audio.speech.create(model=model, voice="alloy", input="Chào Hà Nội!")
    assert spoken.content.startswith(b"ID3")
    assert spoken.response.headers["content-type"] == "audio/mpeg"
    (event,) = gateway.books()
    assert event.cost == event.hold == 12 * each
    too_long = post(gateway, alice, "/v1/audio/speech", model=model, voice="a", input="a" * 4_097)
    assert too_long.status_code == 400


# -- What holds for all of them


def test_a_model_is_asked_at_its_own_address_only(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    client = gateway.openai(alice)
    with pytest.raises(BadRequestError, match="answers no prompts"):
        client.chat.completions.create(
            model="whisper-1", messages=[{"role": "user", "content": "hi"}]
        )
    with pytest.raises(BadRequestError, match="not for this address"):
        client.embeddings.create(model="gpt-4o", input="hi")
    assert gateway.vendors.requests == [] and gateway.books() == []


def test_a_key_reaches_only_the_models_it_may(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    ApiKey.objects.filter(user=alice.user).update(allowed_models=["text-embedding-3-small"])
    client = gateway.openai(alice)
    assert client.embeddings.create(model="text-embedding-3-small", input="a").data
    with pytest.raises(PermissionDeniedError):
        client.embeddings.create(model="text-embedding-3-large", input="a")


def test_a_vendor_that_fails_costs_nothing(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    gateway.vendors.faults.append(Fault(status=500))
    reply = post(gateway, alice, "/v1/audio/speech", model="tts-1", voice="a", input="hi")
    assert reply.status_code == 500
    (event,) = gateway.books()
    assert (event.cost, event.status) == (0, 500)


def test_unknown_members_are_left_out_and_told(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    body = {"model": "text-embedding-3-small", "input": "a", "input_type": "query"}
    reply = post(gateway, alice, "/v1/embeddings", **body)
    assert reply.headers["x-hontoni-left-out"] == "member:input_type"
    assert "input_type" not in gateway.vendors.last.body


def test_every_answer_tells_its_cost_and_the_limits(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    reply = post(gateway, alice, "/v1/embeddings", model="text-embedding-3-small", input="hello")
    assert reply.headers["x-hontoni-model"] == "text-embedding-3-small"
    assert {"x-hontoni-cost", "x-hontoni-balance", "x-ratelimit-limit-rpm"} <= set(reply.headers)


def test_who_does_not_wait_for_a_picture_pays_for_it(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    gateway.vendors.faults.append(Fault(delay=1.0))
    body = json.dumps({"model": "gpt-image-1-mini", "prompt": "A boat.", "quality": "low"})
    address = urlsplit(gateway.url)
    connection = HTTPConnection(str(address.hostname), address.port or 80)
    headers = {"Authorization": f"Bearer {alice.raw}"}
    connection.request("POST", "/v1/images/generations", body, headers)
    until(lambda: bool(gateway.vendors.requests))
    connection.close()
    events = until(gateway.books)
    assert events[0].cost > 0 and not events[0].estimated
    assert events[0].details["rule"] == "drained"
