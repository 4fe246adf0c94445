"""A member that decides what a request costs is said once, and in its own letters, at every door:
whoever reads the other one does not read what was priced."""

import json
from typing import Any

import pytest
from websockets.sync.client import connect

from gateway.batches.models import Batch
from hontoni.money import nanos
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database
EMBED = "/v1beta/models/text-embedding-3-small:embedContent"
ASK = "/v1beta/models/gemini-2.5-flash:generateContent"
SAYS = '"contents": [{"parts": [{"text": "Hello"}]}]'
TWICE = [
    ("/v1/images/generations", '"prompt": "A cat", "n": 1, "n": 10', "n"),
    ("/v1/images/generations", '"prompt": "A cat", "n": 1, "N": 10', "N"),
    ("/v1/images/generations", '"prompt": "A cat", "quality": "low", "Quality": "hd"', "Quality"),
    ("/v1/embeddings", '"model": "text-embedding-3-small", "input": "a", "input": "b"', "input"),
    ("/v1/embeddings", '"model": "text-embedding-3-small", "input": "a", "Model": "b"', "Model"),
    ("/v1/audio/speech", '"model": "tts-1", "input": "a", "voice": "x", "input": "b"', "input"),
    ("/v1/moderations", '"input": "a", "INPUT": "b"', "INPUT"),
    (EMBED, '"content": {"parts": [{"text": "a"}]}, "content": {"parts": []}', "content"),
    (ASK, f'{SAYS}, "tools": [], "tools": []', "tools"),
    (ASK, f'{SAYS}, "generationConfig": {{}}, "generation_config": {{}}', "generation_config"),
    (ASK, f'{SAYS}, "GenerationConfig": {{"maxOutputTokens": 9}}', "GenerationConfig"),
    (
        ASK,
        f'{SAYS}, "generationConfig": {{"max_output_tokens": 9, "maxOutputTokens": 1}}',
        "max_output_tokens",
    ),
    (ASK, f'{SAYS}, "generationConfig": {{"MaxOutputTokens": 9}}', "MaxOutputTokens"),
    (ASK, f'{SAYS}, "tools": [{{"google_search": {{}}, "GoogleSearch": {{}}}}]', "GoogleSearch"),
    ("/v1/responses/compact", '"model": "gpt-5.2", "input": "a", "input": "b"', "input"),
    (
        "/v1/responses",
        '"model": "gpt-5.2", "input": "a", "background": true, "tools": [], "tools": []',
        "tools",
    ),
    (
        "/v1/responses",
        '"model": "gpt-5.2", "input": "a", "previous_response_id": "resp_1", '
        '"max_output_tokens": 9, "max_output_tokens": 99',
        "max_output_tokens",
    ),
]


@pytest.fixture(autouse=True)
def _funds(alice: Person) -> None:
    fund(alice, "50")


def refused(answer: Any, name: str) -> None:
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert name in error.get("param", error["message"]), answer.text


def test_what_is_said_twice_or_in_another_case_is_named_at_every_door(
    gateway: Gateway, alice: Person
) -> None:
    with gateway.http(alice) as http:
        for path, body, name in TWICE:
            refused(http.post(path, content="{" + body + "}"), name)
        for fields in (
            [("model", "whisper-1"), ("model", "gpt-4o-transcribe")],
            [("model", "whisper-1"), ("MODEL", "gpt-4o-transcribe")],
        ):
            form = [(name, (None, value)) for name, value in fields]
            sound: Any = [*form, ("file", ("a.wav", b"RIFF"))]
            refused(http.post("/v1/audio/transcriptions", files=sound), fields[1][0])
    assert gateway.vendors.requests == [] and gateway.balance(alice) == nanos("50")


def test_so_it_is_in_a_batch(gateway: Gateway, alice: Person) -> None:
    body = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "a"}], "max_tokens": 1'
    with gateway.http(alice) as http:
        for more, name in (('"max_tokens": 900', "max_tokens"), ('"N": 9', "N")):
            params = f"{body}, {more}}}"
            content = f'{{"requests": [{{"custom_id": "a", "params": {params}}}]}}'
            refused(http.post("/v1/messages/batches", content=content), name)
            line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
            raw = json.dumps({**line, "body": "@"}).replace('"@"', params)
            sent = {"file": ("in.jsonl", raw.encode())}
            file = http.post("/v1/files", files=sent, data={"purpose": "batch"}).json()["id"]
            given = {
                **{"input_file_id": file, "endpoint": "/v1/chat/completions"},
                "completion_window": "24h",
            }
            made = http.post("/v1/batches", json=given).json()
            assert made["status"] == "failed", made
            assert name in made["errors"]["data"][0]["message"], made
    assert set(Batch.objects.values_list("held", flat=True)) == {0}


def test_and_on_a_websocket(gateway: Gateway, alice: Person) -> None:
    url = gateway.url.replace("http", "ws") + "/v1/responses"
    key = {"Authorization": f"Bearer {alice.raw}"}
    with connect(url, additional_headers=key) as socket:
        for more, name in (('"input": "b"', "input"), ('"Max_output_tokens": 9', "Max_output_")):
            asked = f'{{"type": "response.create", "model": "gpt-5.2", "input": "a", {more}}}'
            socket.send(asked)
            told = json.loads(socket.recv(20))
            assert (told["type"], told["status"]) == ("error", 400), told
            assert told["error"]["param"].startswith(name)
    assert gateway.vendors.requests == []
