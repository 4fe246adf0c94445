"""Google's own SDK, and bodies as its clients write them, at any model."""

from typing import Any

import pytest
from google.genai import errors, types

from gateway.usage.models import UsageEvent
from tests.gateway_server import Gateway, fund
from tests.world import Person

MODELS = ("gpt-4o", "gpt-5.2", "claude-sonnet-4.5", "gemini-3-flash-preview")
USED = "[[usage: 1000 50 400 0]] [[say: Hanoi]]"


def ask(gateway: Gateway, person: Person, path: str, body: Any, **query: str) -> Any:
    with gateway.http() as client:
        headers = {"x-goog-api-key": person.raw}
        return client.post(path, json=body, headers=headers, params=query)


def contents(text: str, **fields: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **fields}


@pytest.mark.parametrize("model", MODELS)
def test_googles_sdk_asks_any_model_and_a_stream_costs_what_unary_does(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    with gateway.google(alice.raw) as client:
        whole = client.models.generate_content(model=model, contents=USED)
        chunks = list(client.models.generate_content_stream(model=model, contents=USED))
    assert (whole.text, whole.model_version) == ("Hanoi", model)
    assert "".join(chunk.text or "" for chunk in chunks) == "Hanoi"
    last = chunks[-1]
    assert last.candidates is not None and last.usage_metadata == whole.usage_metadata
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    first, second = gateway.books()
    assert first.usage == second.usage and first.cost == second.cost > 0
    assert (first.dialect, first.cache_read, first.estimated) == ("gemini", 400, False)


@pytest.mark.parametrize("model", MODELS)
def test_the_sdk_runs_a_loop_of_tools_with_thoughts_at_any_model(
    gateway: Gateway, alice: Person, model: str
) -> None:
    """The SDK itself calls the function, and sends back what it was given, secrets included."""
    fund(alice, "10")
    asked = []

    def look(at: str) -> str:
        """Looks at a thing."""
        asked.append(at)
        return "seen"

    thinking = types.ThinkingConfig(include_thoughts=True)
    config = types.GenerateContentConfig(
        tools=[look], thinking_config=None if model == "gpt-4o" else thinking
    )
    prompt = '[[think: Hmm.]][[tool: {"name": "look", "args": {"at": "a"}}]][[say: Got {result}.]]'
    with gateway.google(alice.raw) as client:
        chat = client.chats.create(model=model, config=config)
        assert chat.send_message(prompt).text == "Got seen."
        assert asked == ["a"]
        assert chat.send_message("[[say: And on.]]").text == "And on."
    assert [event.status for event in gateway.books()] == [200, 200, 200]


def test_a_stream_without_sse_is_one_json_array(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    path = "/v1beta/models/gpt-5.2:streamGenerateContent"
    reply = ask(gateway, alice, path, contents("[[say: one two three]]"))
    assert reply.headers["content-type"] == "application/json"
    chunks = reply.json()
    said = [p["text"] for c in chunks for p in c["candidates"][0]["content"]["parts"]]
    assert "".join(said) == "one two three" and len(chunks) > 1
    failing = ask(gateway, alice, path, contents("[[say: one two three]] [[midstream]]")).json()
    assert failing[-1]["error"]["status"] == "INTERNAL"


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/{}:generateContent",
        "/v1/models/{}:generateContent",
        "/v1/v1beta/models/{}:generateContent",
        "/v1alpha/models/{}:generateContent",
        "/v1beta/models/models%2F{}:generateContent",
    ],
)
def test_each_address_that_a_client_makes_of_a_base_url_is_the_door(
    gateway: Gateway, alice: Person, path: str
) -> None:
    fund(alice, "1")
    reply = ask(gateway, alice, path.format("claude-sonnet-4.5:high"), contents("[[say: hi]]"))
    assert reply.status_code == 200, reply.text
    assert gateway.vendors.last.body["thinking"]["budget_tokens"] > 0


def test_the_key_may_be_in_the_query_and_goes_no_further(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    with gateway.http() as client:
        path = f"/v1beta/models/gemini-2.5-pro:generateContent?key={alice.raw}"
        assert client.post(path, json=contents("[[say: hi]]")).status_code == 200
    sent = gateway.vendors.last
    assert alice.raw not in str((sent.path, sent.query, sent.headers))


def test_both_spellings_of_google_mean_the_same(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    schema = {"type": "OBJECT", "properties": {"some_key": {"type": "STRING"}}}
    camel = contents(
        '[[json: {"some_key": "x"}]]',
        systemInstruction={"parts": [{"text": "Be brief."}]},
        generationConfig={"maxOutputTokens": 77, "responseMimeType": "application/json",
                          "responseSchema": schema, "topP": 0.5},
    )  # fmt: skip
    snake = contents(
        '[[json: {"some_key": "x"}]]',
        system_instruction={"parts": {"text": "Be brief."}},
        generation_config={"max_output_tokens": 77, "response_mime_type": "application/json",
                           "response_schema": schema, "top_p": 0.5},
    )  # fmt: skip
    path, sent = "/v1beta/models/gemini-2.5-pro:generateContent", []
    for body in (camel, snake):
        assert ask(gateway, alice, path, body).status_code == 200
        sent.append(gateway.vendors.last.body)
    assert sent[0] == sent[1]
    assert sent[0]["generationConfig"]["maxOutputTokens"] == 77
    assert "some_key" in sent[0]["generationConfig"]["responseJsonSchema"]["properties"]
    first, second = gateway.books()
    assert abs(first.hold - second.hold) * 20 < first.hold


def test_counting_is_the_vendors_own_for_gemini_and_an_estimate_elsewhere(
    gateway: Gateway, alice: Person
) -> None:
    with gateway.google(alice.raw) as client:
        counted = client.models.count_tokens(model="gemini-2.5-pro", contents="Hello world")
    assert (counted.total_tokens or 0) > 0
    assert gateway.vendors.last.path.endswith("gemini-2.5-pro:countTokens")
    path = "/v1beta/models/claude-sonnet-4.5:countTokens"
    reply = ask(gateway, alice, path, {"generateContentRequest": contents("Hello")})
    assert reply.json()["totalTokens"] > 0
    assert reply.headers["x-hontoni-token-count"] == "estimate"
    assert UsageEvent.objects.count() == 0


def test_the_models_are_listed_as_google_lists_them(gateway: Gateway, alice: Person) -> None:
    with gateway.google(alice.raw) as client:
        listed = {model.name: model for model in client.models.list(config={"page_size": 3})}
        one = client.models.get(model="gpt-5.4")
    assert {"models/gpt-5.4", "models/claude-opus-4.6", "models/gemini-2.5-pro"} <= listed.keys()
    assert (one.display_name, one.output_token_limit) == ("GPT-5.4", 128_000)


def test_errors_are_worded_as_googles_with_our_code_in_them(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    fund(alice, "1")

    def failing(raw: str, model: str, **config: Any) -> Any:
        given = types.GenerateContentConfig(**config)
        with gateway.google(raw) as client, pytest.raises(errors.APIError) as caught:
            client.models.generate_content(model=model, contents="hi", config=given)
        error = caught.value
        reason = error.details["error"]["details"][0]["reason"]
        return error.code, error.status, reason

    assert failing("sk-gw-none", "gpt-4o") == (401, "UNAUTHENTICATED", "invalid_api_key")
    assert failing(alice.raw, "gpt-none") == (404, "NOT_FOUND", "model_not_found")
    assert failing(bob.raw, "gpt-4o") == (402, "FAILED_PRECONDITION", "insufficient_balance")
    several = failing(alice.raw, "gemini-2.5-pro", candidate_count=2)
    assert several == (400, "INVALID_ARGUMENT", "unsupported_parameter")
    with gateway.http(alice) as client:
        lost = client.post("/v1beta/models/gpt-4o:tuneModel", json={})
        assert (lost.status_code, lost.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert gateway.books() == []


def test_what_has_no_words_elsewhere_is_left_out_and_told(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    body = contents(
        "[[say: hi]]",
        safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        generationConfig={"mediaResolution": "MEDIA_RESOLUTION_LOW"},
        tools=[{"googleMaps": {}}],
    )
    reply = ask(gateway, alice, "/v1beta/models/claude-sonnet-4.5:generateContent", body)
    assert reply.headers["x-hontoni-left-out"] == (
        "member:safetySettings, member:generationConfig.mediaResolution, tool:googleMaps"
    )


def test_googles_search_is_googles_and_billed(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    body = contents("[[search: ha noi]] [[say: Found.]]", tools=[{"google_search": {}}])
    reply = ask(gateway, alice, "/v1beta/models/gemini-2.5-pro:generateContent", body)
    assert reply.status_code == 200, reply.text
    assert gateway.vendors.last.body["tools"] == [{"googleSearch": {}}]


@pytest.mark.parametrize(
    "part",
    [
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a"}},
        {"fileData": {"fileUri": "gs://bucket/a.pdf", "mimeType": "application/pdf"}},
        {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}},
    ],
)
def test_what_has_no_bound_or_no_owner_is_refused(
    gateway: Gateway, alice: Person, part: dict[str, Any]
) -> None:
    fund(alice, "5")
    body = {"contents": [{"parts": [{"text": "hi"}, part]}]}
    reply = ask(gateway, alice, "/v1beta/models/gemini-2.5-pro:generateContent", body)
    assert reply.status_code in (400, 403), reply.text
    assert gateway.vendors.requests == [] and gateway.books() == []


def test_an_estimate_takes_a_body_of_googles(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    body = {"model": "gpt-4o", **contents("hi", generation_config={"max_output_tokens": 9})}
    with gateway.http(alice) as client:
        told = client.post("/v1/estimate", json=body).json()
    assert (told["dialect"], told["max_output_tokens"]) == ("gemini", 9)
