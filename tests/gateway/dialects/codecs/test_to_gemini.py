"""Any client to Gemini."""

from typing import Any

import pytest

from gateway.dialects import codecs
from gateway.dialects.codecs import carrier, media
from gateway.dialects.ir import Carrier
from hontoni.errors import BadRequest
from tests.gateway.dialects.codecs import world
from tests.gateway.dialects.codecs.world import (
    assistant,
    function,
    image,
    row,
    tool,
    tool_call,
    tool_result,
    tool_use,
    upstream,
    user,
)

PRO3, PRO25 = "gemini-3.1-pro-preview", "gemini-2.5-pro"
PNG = "iVBORw0KGgoAAAANSUhEUg=="


def sealed(data: str, model: str = PRO3) -> str:
    return carrier.seal(Carrier("google", model, "thought_signature", data), world.KEY)


@row("006")
def test_results_of_one_turn_stand_in_one_content_in_the_order_of_the_calls() -> None:
    messages = [
        user("hi"),
        assistant(*(tool_use(each, "f") for each in "abcd")),
        user([tool_result(each, each.upper()) for each in "dbca"]),
    ]
    contents = upstream("anthropic_messages", {"messages": messages}, PRO25)["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user"]
    assert len(contents[1]["parts"]) == 4
    outputs = [part["functionResponse"]["response"] for part in contents[2]["parts"]]
    assert outputs == [{"output": each} for each in "ABCD"]


@row("007")
def test_a_result_is_named_by_its_call() -> None:
    messages = [
        user("hi"),
        {"role": "assistant", "tool_calls": [tool_call("a", "look"), tool_call("b", "hear")]},
        {"role": "tool", "tool_call_id": "b", "content": "B"},
        {"role": "tool", "tool_call_id": "a", "content": "A"},
    ]
    *_, results = upstream("openai_chat", {"messages": messages}, PRO25)["contents"]
    told = [part["functionResponse"] for part in results["parts"]]
    assert [(each["name"], each["response"]["output"]) for each in told] == [
        ("look", "A"),
        ("hear", "B"),
    ]


@row("012")
def test_a_failed_result_says_error_and_no_output() -> None:
    failed = tool_result("a", "boom", is_error=True)
    messages = [user("hi"), assistant(tool_use("a", "f")), user([failed])]
    *_, last = upstream("anthropic_messages", {"messages": messages}, PRO25)["contents"]
    assert last["parts"][0]["functionResponse"]["response"] == {"error": "boom"}


def test_a_call_without_a_result_still_has_a_response() -> None:
    calls = assistant(tool_use("a", "f"), tool_use("b", "f"))
    messages = [user("hi"), calls, user([tool_result("b")])]
    *_, last = upstream("anthropic_messages", {"messages": messages}, PRO25)["contents"]
    assert len(last["parts"]) == 2


@pytest.mark.parametrize(("model", "inside"), [(PRO3, True), (PRO25, False)])
def test_an_image_of_a_result_is_in_it_or_beside_it(model: str, inside: bool) -> None:
    messages = [user("hi"), assistant(tool_use("a", "f")), user([tool_result("a", [image(PNG)])])]
    *_, last = upstream("anthropic_messages", {"messages": messages}, model)["contents"]
    shown = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    if inside:
        assert last["parts"][0]["functionResponse"]["parts"] == [shown]
    else:
        assert last["parts"][1] == shown


HARD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "mode": {"anyOf": [{"const": "a"}, {"type": "integer", "exclusiveMinimum": 0}]},
        "map": {"type": "object", "propertyNames": {"pattern": "^x"}},
        "when": {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "default": None,
            "description": "When.",
        },
        "node": {"$ref": "#/$defs/Node"},
    },
    "additionalProperties": False,
    "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
}


@row("019", "020", "023")
@pytest.mark.parametrize("model", [PRO25, PRO3])
def test_a_hard_schema_goes_as_json_schema(model: str) -> None:
    asked = world.chat(tools=[tool("f", input_schema=HARD)])
    declared = upstream("anthropic_messages", asked, model)["tools"][0]["functionDeclarations"][0]
    schema = declared["parametersJsonSchema"]
    assert "parameters" not in declared and "$schema" not in schema
    assert schema["$defs"] == HARD["$defs"]
    assert schema["properties"] == HARD["properties"]


@row("030", "033")
@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("required", {"mode": "ANY"}),
        ("none", {"mode": "NONE"}),
        ("auto", {"mode": "AUTO"}),
        (function("b"), {"mode": "ANY", "allowedFunctionNames": ["b"]}),
    ],
    ids=["required", "none", "auto", "named"],
)
def test_the_choice_of_a_tool_is_a_mode(choice: object, config: dict[str, Any]) -> None:
    strict = function("b")
    strict["function"]["strict"] = True
    body = upstream("openai_chat", world.chat(tools=[strict], tool_choice=choice), PRO25)
    assert body["toolConfig"]["functionCallingConfig"] == config


@row("043")
@pytest.mark.parametrize(
    ("effort", "level"), [("none", "low"), ("minimal", "low"), ("xhigh", "high")]
)
def test_gemini_3_thinks_by_level(effort: str, level: str) -> None:
    asked = {"input": "hi", "reasoning": {"effort": effort}}
    config = upstream("openai_responses", asked, PRO3)["generationConfig"]["thinkingConfig"]
    assert config == {"thinkingLevel": level, "includeThoughts": True}


@row("044")
@pytest.mark.parametrize(("effort", "budget"), [("none", 128), ("max", 32_768), ("low", 4_096)])
def test_gemini_2_5_thinks_by_budget_within_its_bounds(effort: str, budget: int) -> None:
    asked = {"input": "hi", "reasoning": {"effort": effort}}
    config = upstream("openai_responses", asked, PRO25)["generationConfig"]["thinkingConfig"]
    assert config["thinkingBudget"] == budget and "thinkingLevel" not in config


@row("055")
def test_a_system_prompt_alone_is_still_answered() -> None:
    asked = {"messages": [{"role": "system", "content": "Be brief."}]}
    body = upstream("openai_chat", asked, PRO25)
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert [content["role"] for content in body["contents"]] == ["user"]


@row("057")
def test_a_picture_gemini_can_fetch_is_a_link_and_another_comes_as_bytes() -> None:
    def asked(url: str) -> dict[str, Any]:
        return world.chat(user([{"type": "image_url", "image_url": {"url": url}}]))

    linked = upstream("openai_chat", asked("https://a.example/x.png?y=1"), PRO25)
    assert linked["contents"][0]["parts"] == [
        {"fileData": {"fileUri": "https://a.example/x.png?y=1", "mimeType": "image/png"}}
    ]
    opaque = "http://a.example/picture"
    to, request = world.target(PRO25), world.ask("openai_chat", asked(opaque))
    assert media.to_fetch(request, to) == [opaque]
    whole = media.inlined(request, {opaque: ("image/jpeg", PNG)})
    body = codecs.UPSTREAMS["gemini"].encode_request(whole, to)
    shown = {"mimeType": "image/png", "data": PNG}
    assert body["contents"][0]["parts"] == [{"inlineData": shown}]
    with pytest.raises(BadRequest):
        upstream("openai_chat", asked(opaque), PRO25)


@row("064")
def test_a_signature_goes_on_the_first_call_behind_it_only() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": sealed("c2ln")}
    messages = [
        user("hi"),
        assistant(thought, tool_use("a", "f"), tool_use("b", "f")),
        user([tool_result("a"), tool_result("b")]),
    ]
    model = upstream("anthropic_messages", {"messages": messages}, PRO3)["contents"][1]
    assert [part.get("thoughtSignature") for part in model["parts"]] == ["c2ln", None]


@row("065")
def test_a_call_without_its_signature_gets_googles_sentinel_in_the_turn_at_hand() -> None:
    def step(call_id: str) -> list[dict[str, Any]]:
        return [
            {"role": "assistant", "tool_calls": [tool_call(call_id, "f"), tool_call("x", "f")]},
            {"role": "tool", "tool_call_id": call_id, "content": "1"},
            {"role": "tool", "tool_call_id": "x", "content": "2"},
        ]

    known = step("c")
    google = {"google": {"thought_signature": sealed("c2ln")}}
    known[0]["tool_calls"][0]["extra_content"] = google
    messages = [user("old"), *step("a"), user("now"), *step("b"), *known]
    contents = upstream("openai_chat", {"messages": messages}, PRO3)["contents"]
    signed = [
        [part.get("thoughtSignature") for part in content["parts"]]
        for content in contents
        if content["role"] == "model"
    ]
    sentinel = "skip_thought_signature_validator"
    assert signed == [[None, None], [sentinel, None], ["c2ln", None]]
    assert "thoughtSignature" not in repr(upstream("openai_chat", {"messages": messages}, PRO25))


@pytest.mark.parametrize(("model", "native"), [(PRO3, True), (PRO25, False)])
def test_a_shape_with_tools_is_native_or_told(model: str, native: bool) -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = upstream("openai_chat", world.chat(response_format=form, tools=[function("f")]), model)
    assert ("responseJsonSchema" in body["generationConfig"]) is native
    assert ("JSON Schema" in repr(body.get("systemInstruction"))) is not native
    alone = upstream("openai_chat", world.chat(response_format=form), model)
    shape = alone["generationConfig"]["responseJsonSchema"]
    assert list(shape["properties"]) == ["b", "a"]


def test_sampling_stops_and_limits_have_their_places() -> None:
    asked = world.chat(
        temperature=0, top_p=0.5, seed=7, presence_penalty=1, stop=["X"], max_tokens=99
    )
    assert upstream("openai_chat", asked, PRO25)["generationConfig"] == {
        "temperature": 0,
        "topP": 0.5,
        "seed": 7,
        "presencePenalty": 1,
        "stopSequences": ["X"],
        "maxOutputTokens": 99,
    }


def test_what_nobody_knows_at_googles_door_is_text_or_left_out_for_google_too() -> None:
    parts = [
        {"text": "hi"},
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"hologram": {"x": 1}},
    ]
    asked = {"contents": [{"role": "user", "parts": parts}]}
    for model in ("gemini-3-flash-preview", "gpt-5.2", "claude-opus-4-6"):
        sent = repr(upstream("gemini", asked, model))
        assert "hi" in sent and "print(1)" in sent and "hologram" not in sent
