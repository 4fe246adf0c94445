"""Gemini, spoken by hand: Google's client is not among our dependencies."""

import json
from typing import Any

import httpx
import pytest

from sandbox.vendors.script import THOUGHT
from sandbox.vendors.usage import count
from tests.vendors import KEY, Vendors

FLASH = "gemini-3-flash-preview"
PRO = "gemini-2.5-pro"
WEATHER = {
    "name": "get_weather",
    "parameters": {
        "type": "OBJECT",
        "properties": {"city": {"type": "STRING"}},
        "required": ["city"],
    },
}
HANOI = '[[tool: {"name": "get_weather", "args": {"city": "Hanoi"}} ]]'
HUE = '[[tool: {"name": "get_weather", "args": {"city": "Hue"}} ]]'
TOOLS = [{"functionDeclarations": [WEATHER]}]
THOUGHTS = {"thinkingConfig": {"includeThoughts": True}}


def said(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}


def asked(http: httpx.Client, text: str, model: str = FLASH, **more: Any) -> Any:
    body = {"contents": [said(text)], **more}
    return http.post(f"/v1beta/models/{model}:generateContent", json=body).json()


def streamed(http: httpx.Client, text: str, model: str = FLASH, **more: Any) -> list[Any]:
    body = {"contents": [said(text)], **more}
    url = f"/v1beta/models/{model}:streamGenerateContent?alt=sse"
    data = http.post(url, json=body).content
    events = data.removesuffix(b"\r\n\r\n").split(b"\r\n\r\n")
    return [json.loads(event.removeprefix(b"data: ")) for event in events]


def parts(reply: Any) -> list[Any]:
    found: list[Any] = reply["candidates"][0]["content"]["parts"]
    return found


def test_thoughts_are_counted_outside_the_candidates(http: httpx.Client) -> None:
    reply = asked(http, "[[think: hmm hmm]] [[say: four]]", generationConfig=THOUGHTS)
    thought, text = parts(reply)
    assert (thought["text"], thought["thought"], text["text"]) == ("hmm hmm", True, "four")
    assert text["thoughtSignature"]
    assert reply["candidates"][0]["finishReason"] == "STOP"
    used = reply["usageMetadata"]
    assert used["promptTokenCount"] == count("[[think: hmm hmm]] [[say: four]]")
    assert (used["candidatesTokenCount"], used["thoughtsTokenCount"]) == (1, 2)
    assert used["totalTokenCount"] == used["promptTokenCount"] + 3


def test_thoughts_are_spent_though_not_shown(http: httpx.Client) -> None:
    reply = asked(http, "[[say: x]]", PRO)
    assert parts(reply) == [{"text": "x"}]
    assert reply["usageMetadata"]["thoughtsTokenCount"] == count(THOUGHT)


def test_a_stream_says_what_the_unary_answer_says(http: httpx.Client) -> None:
    prompt = "[[say: one two three]]"
    events = streamed(http, prompt, generationConfig=THOUGHTS)
    whole = asked(http, prompt, generationConfig=THOUGHTS)
    found = [part for event in events for part in parts(event)]
    said = "".join(part["text"] for part in found if not part.get("thought"))
    assert said == "one two three"
    assert [p["thoughtSignature"] for p in found if "thoughtSignature" in p] == [
        parts(whole)[-1]["thoughtSignature"]
    ]
    assert [event["candidates"][0].get("finishReason") for event in events].count("STOP") == 1
    assert events[-1]["usageMetadata"] == whole["usageMetadata"]
    assert len({event["responseId"] for event in events}) == 1


def test_without_sse_a_stream_is_an_array(http: httpx.Client) -> None:
    body = {"contents": [said("[[say: x]]")]}
    reply = http.post(f"/v1beta/models/{PRO}:streamGenerateContent", json=body).json()
    assert parts(reply[0]) == [{"text": "x"}]


def test_the_signature_is_on_the_first_of_parallel_calls(http: httpx.Client) -> None:
    prompt = f"[[parallel]] {HANOI} {HUE}"
    for model, has_id in ((FLASH, True), (PRO, False)):
        events = streamed(http, prompt, model, tools=TOOLS)
        calls = [part for event in events for part in parts(event) if "functionCall" in part]
        assert [call["functionCall"]["args"]["city"] for call in calls] == ["Hanoi", "Hue"]
        assert ["thoughtSignature" in call for call in calls] == [True, False]
        assert all(("id" in call["functionCall"]) is has_id for call in calls)


def test_a_tool_loop_with_its_signature_ends_with_the_result(http: httpx.Client) -> None:
    prompt = f"{HANOI} [[say: It is {{result}}.]]"
    turn = asked(http, prompt, tools=TOOLS)["candidates"][0]["content"]
    answer = {"functionResponse": {"name": "get_weather", "response": {"result": "31C"}}}
    contents = [said(prompt), turn, {"role": "user", "parts": [answer]}]
    reply = asked(http, "", contents=contents, tools=TOOLS)
    assert parts(reply)[0]["text"] == "It is 31C."


def test_a_forced_tool_is_called(http: httpx.Client) -> None:
    for names in ({}, {"allowedFunctionNames": ["get_weather"]}):
        config = {"functionCallingConfig": {"mode": "ANY", **names}}
        reply = asked(http, "Hi", tools=TOOLS, toolConfig=config)
        assert parts(reply)[0]["functionCall"]["args"] == {"city": "sandbox"}


def test_structured_output_fits_the_schema(http: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 5}}}
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    reply = asked(http, "Hi", generationConfig=config)
    assert json.loads(parts(reply)[0]["text"]) == {"n": 5}


def test_it_stops_where_it_should(http: httpx.Client) -> None:
    stopped = asked(http, "[[say: abc END def]]", generationConfig={"stopSequences": ["END"]})
    assert parts(stopped)[0]["text"] == "abc "
    spent = asked(http, "[[say: x]]", generationConfig={"maxOutputTokens": 2})
    assert spent["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert spent["usageMetadata"]["thoughtsTokenCount"] == 2
    odd = asked(http, "[[finish: MALFORMED_FUNCTION_CALL]]")
    assert odd["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"


def test_a_blocked_prompt_has_no_candidates(http: httpx.Client) -> None:
    for reply in (asked(http, "[[refuse]]"), *streamed(http, "[[refuse]]")):
        assert reply["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
        assert "candidates" not in reply
        assert reply["usageMetadata"]["promptTokenCount"] > 0


def test_tokens_can_be_counted(http: httpx.Client) -> None:
    body = {"contents": [said("Hi there")]}
    for sent in (body, {"generateContentRequest": {"model": f"models/{PRO}", **body}}):
        reply = http.post(f"/v1beta/models/{PRO}:countTokens", json=sent).json()
        assert reply["totalTokens"] == 2


@pytest.mark.parametrize(
    ("status", "word"),
    [(400, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE")],
)
def test_a_scripted_error_has_the_vendors_shape(
    http: httpx.Client, status: int, word: str
) -> None:
    error = asked(http, f"[[error: {status} no]]")["error"]
    assert (error["code"], error["message"], error["status"]) == (status, "no", word)


def test_a_stream_can_fail_in_the_middle(http: httpx.Client) -> None:
    events = streamed(http, "[[midstream]] [[say: a b c d]]")
    assert events[-1]["error"]["status"] == "UNAVAILABLE"
    assert len(events) > 1


def test_keys_are_checked_as_google_does(vendors: Vendors) -> None:
    url = f"{vendors.url}/v1beta/models/{PRO}:generateContent"
    assert httpx.post(url, json={}).status_code == 403
    wrong = httpx.post(url, json={}, headers={"x-goog-api-key": "AIza"})
    assert wrong.status_code == 400
    assert wrong.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    body = {"contents": [said("Hi")]}
    assert httpx.post(url, json=body, params={"key": KEY}).status_code == 200
