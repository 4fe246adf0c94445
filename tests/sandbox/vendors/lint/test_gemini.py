"""Every rule of Gemini's, broken once at least."""

from typing import Any

import pytest

from sandbox.vendors.conversation import Sent
from sandbox.vendors.lint import gemini as g
from sandbox.vendors.lint import gemini_contents as c
from sandbox.vendors.seal import seal
from sandbox.vendors.vendors import VendorError
from tests.sandbox.vendors.lint.refusals import PNG, Case, judge, untested

FLASH, PRO, NEW = "gemini-3-flash-preview", "gemini-2.5-pro", "gemini-3.1-pro-preview"
USER: Any = {"role": "user", "parts": [{"text": "Hi"}]}
BASE: Any = {"contents": [USER]}
OBJECT: Any = {"type": "object"}
TOKEN = seal("thought_signature", "hm")
CALL: Any = {"functionCall": {"name": "run", "args": {}}}
SIGNED: Any = {**CALL, "thoughtSignature": TOKEN}
ANSWER: Any = {"functionResponse": {"name": "run", "response": {"result": "ok"}}}


def model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def said(*contents: Any) -> dict[str, Any]:
    return {"contents": list(contents)}


def functions(*schemas: Any, field: str = "parameters", **more: Any) -> dict[str, Any]:
    declared = [{"name": f"f{n}", field: schema, **more} for n, schema in enumerate(schemas)]
    return {"tools": [{"functionDeclarations": declared}]}


def typed(**schema: Any) -> dict[str, Any]:
    return functions({"type": "object", "properties": {"a": schema}})


def config(**fields: Any) -> dict[str, Any]:
    return {"generationConfig": fields}


def thinking(**fields: Any) -> dict[str, Any]:
    return config(thinkingConfig=fields)


def calling(**fields: Any) -> dict[str, Any]:
    return {"toolConfig": {"functionCallingConfig": fields}}


CASES = [
    Case(None, {}),
    Case(None, said(USER, model(SIGNED, CALL), user(ANSWER, ANSWER))),
    Case(None, said(USER, model({**CALL, "thoughtSignature": c.SENTINEL}), user(ANSWER))),
    Case(None, said(USER, model(CALL), user(ANSWER), USER)),
    Case(None, said(USER, model(CALL), user(ANSWER, {"text": "and more"}))),
    Case(None, said(USER, model(CALL), user(ANSWER)), model=PRO),
    Case(None, said(USER, model({"text": "", "thoughtSignature": TOKEN}), USER)),
    Case(
        None,
        functions({"$schema": "x", "type": "object", "oneOf": []}, field="parametersJsonSchema"),
    ),
    Case(None, typed(anyOf=[{"type": "string"}, {"type": "null"}])),
    Case(None, thinking(thinkingLevel="MINIMAL", includeThoughts=True)),
    Case(None, thinking(thinkingBudget=-1), model=PRO),
    Case(None, said(user({"inlineData": {"mimeType": "image/png", "data": PNG}}))),
    Case(g.only_known_fields, {"max_tokens": 5}, 'Unknown name "max_tokens"'),
    Case(g.only_known_fields, config(max_tokens=5), "at 'generation_config'"),
    Case(g.only_known_fields, {"tools": [{"type": "function"}]}, "at 'tools[0]'"),
    Case(g.fields_have_their_types, config(temperature="hot"), "generation_config.temperature"),
    Case(g.fields_have_their_types, {"systemInstruction": "x"}, "systemInstruction"),
    Case(
        g.thinking_the_model_knows,
        thinking(thinkingBudget=128, thinkingLevel="low"),
        "only one of thinking budget",
    ),
    Case(
        g.thinking_the_model_knows,
        thinking(thinkingLevel="low"),
        "not supported for this model",
        model=PRO,
    ),
    Case(
        g.thinking_the_model_knows,
        thinking(thinkingLevel="minimal"),
        "MINIMAL is not supported",
        model=NEW,
    ),
    Case(
        g.thinking_the_model_knows, thinking(thinkingBudget=0), "between 128 and 32768", model=PRO
    ),
    Case(
        g.thinking_the_model_knows,
        thinking(thinkingBudget=32_769),
        "between 128 and 32768",
        model=PRO,
    ),
    Case(g.thinking_the_model_knows, thinking(effort="low"), 'Unknown name "effort"'),
    Case(g.numbers_are_in_range, config(maxOutputTokens=65_537), "maxOutputTokens value of 65537"),
    Case(g.numbers_are_in_range, config(temperature=2.1), "[0.0, 2.0]"),
    Case(g.numbers_are_in_range, config(stopSequences=["a"] * 6), "at most 5"),
    Case(g.numbers_are_in_range, config(candidateCount=2), "Multiple candidates"),
    Case(
        g.the_format_is_possible, config(responseSchema={"type": "object"}), "response_mime_type"
    ),
    Case(
        g.the_format_is_possible,
        config(
            responseMimeType="application/json",
            responseSchema={"a": 1},
            responseJsonSchema={"a": 1},
        ),
        "cannot both",
    ),
    Case(
        g.the_format_is_possible,
        {**config(responseMimeType="application/json"), **typed(type="string")},
        "is unsupported",
        model=PRO,
    ),
    Case(None, {**config(responseMimeType="application/json"), **typed(type="string")}),
    Case(
        g.the_format_is_possible,
        config(
            responseMimeType="application/json",
            responseSchema={"type": "object", "additionalProperties": False},
        ),
        'Unknown name "additionalProperties"',
    ),
    Case(
        g.functions_are_well_formed,
        functions({"type": "object"}, name="1run"),
        "Invalid function name",
    ),
    Case(
        g.functions_are_well_formed,
        functions(OBJECT, OBJECT, name="run"),
        "Duplicate function declaration",
    ),
    Case(g.functions_are_well_formed, functions({}, strict=True), 'Unknown name "strict"'),
    Case(
        g.functions_are_well_formed, functions({}, parametersJsonSchema={}), "cannot both be set"
    ),
    Case(g.functions_are_well_formed, typed(type="string", default="x"), 'Unknown name "default"'),
    Case(g.functions_are_well_formed, typed(type="string", const="x"), 'Unknown name "const"'),
    Case(
        g.functions_are_well_formed, typed(type="integer", exclusiveMinimum=0), "exclusiveMinimum"
    ),
    Case(g.functions_are_well_formed, typed(type=["string", "null"]), "cannot start list"),
    Case(
        g.functions_are_well_formed, typed(anyOf=[{"type": "string"}], description="x"), "any_of"
    ),
    Case(g.functions_are_well_formed, typed(description="x"), "type: must be specified"),
    Case(g.functions_are_well_formed, typed(type="array"), "items: missing field"),
    Case(g.functions_are_well_formed, typed(type="integer", enum=[1]), "only allowed for STRING"),
    Case(
        g.functions_are_well_formed,
        typed(type="string", format="email"),
        "'email' is not supported",
    ),
    Case(
        g.functions_are_well_formed,
        functions({"type": "object", "properties": {}, "required": ["a"]}),
        "not defined",
    ),
    Case(g.the_calling_mode_is_possible, calling(mode="REQUIRED"), "REQUIRED"),
    Case(
        g.the_calling_mode_is_possible,
        {**typed(type="string"), **calling(mode="AUTO", allowedFunctionNames=["f0"])},
        "when mode is ANY",
    ),
    Case(g.the_calling_mode_is_possible, calling(mode="ANY"), "needs function declarations"),
    Case(
        g.the_calling_mode_is_possible,
        {**typed(type="string"), **calling(mode="ANY", allowedFunctionNames=["g"])},
        "not among",
    ),
    Case(c.something_is_said, {"contents": []}, "contents is not specified"),
    Case(
        c.something_is_said,
        said({"role": "assistant", "parts": [{"text": "x"}]}),
        "valid role: user, model",
    ),
    Case(c.something_is_said, said(user()), "must not be empty"),
    Case(c.parts_hold_one_thing, said(user({})), "required oneof field 'data'"),
    Case(c.parts_hold_one_thing, said(user({"text": ""})), "required oneof field 'data'"),
    Case(c.parts_hold_one_thing, said(user({"text": "x", **CALL})), "required oneof field 'data'"),
    Case(c.parts_hold_one_thing, said(user({"type": "text", "text": "x"})), 'Unknown name "type"'),
    Case(
        c.parts_hold_one_thing,
        said(user({"functionResponse": {"name": "run", "output": "x"}})),
        'Unknown name "output"',
    ),
    Case(
        c.parts_hold_one_thing,
        {"systemInstruction": user({"text": ""})},
        "system_instruction.parts[0]",
    ),
    Case(
        c.calls_are_well_formed,
        said(USER, model({"functionCall": {"name": "run", "args": "{}"}})),
        "args is an object",
    ),
    Case(
        c.calls_are_well_formed,
        said(USER, model(SIGNED), user({"functionResponse": {"response": {}}})),
        "Name cannot be empty",
    ),
    Case(
        c.calls_are_well_formed,
        said(USER, model(SIGNED), user({"functionResponse": {"name": "run", "response": "ok"}})),
        "must be an object",
    ),
    Case(
        c.calls_are_well_formed,
        said(
            USER,
            model(SIGNED),
            user({"functionResponse": {"name": "run", "response": {"a": [{"$ref": "x"}]}}}),
        ),
        "$ref",
    ),
    Case(
        c.calls_come_after_the_user,
        said(model(SIGNED), user(ANSWER)),
        "immediately after a user turn",
    ),
    Case(
        c.responses_answer_calls,
        said(USER, model(SIGNED, CALL), user(ANSWER), user(ANSWER)),
        "number of function response parts",
    ),
    Case(c.responses_answer_calls, said(user(ANSWER)), "immediately after a function call turn"),
    Case(
        c.responses_answer_calls,
        said(USER, model(SIGNED), USER),
        "number of function response parts",
    ),
    Case(
        c.signatures_are_genuine,
        said(USER, model({**CALL, "thoughtSignature": "forged"}), user(ANSWER)),
        "Corrupted thought signature",
    ),
    Case(
        c.this_turn_is_signed, said(USER, model(CALL), user(ANSWER)), "missing a thought_signature"
    ),
    Case(
        c.this_turn_is_signed,
        said(USER, model(CALL, SIGNED), user(ANSWER, ANSWER)),
        "missing a thought_signature",
    ),
    Case(
        c.this_turn_is_signed,
        said(USER, model(SIGNED), user(ANSWER), model(CALL), user(ANSWER)),
        "position 4",
    ),
    Case(
        c.media_are_sound,
        said(user({"inlineData": {"mimeType": "image/png", "data": "%"}})),
        "Base64 decoding failed",
    ),
    Case(
        c.media_are_sound,
        said(user({"fileData": {"fileUri": "https://example.com/a.png"}})),
        "Unsupported MIME type: None",
    ),
    Case(
        c.media_are_sound,
        said(user({"fileData": {"fileUri": "http://example.com/a.png", "mimeType": "image/png"}})),
        "Invalid or unsupported file uri",
    ),
]
RULES = (*g.RULES, *c.RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.rule.__name__ if c.rule else 'passes'}")
def test_it_says_what_google_says(case: Case) -> None:
    judge(case, BASE, RULES)


def test_every_rule_is_tested() -> None:
    assert untested(CASES, RULES) == set()


def test_a_prompt_that_is_too_long_is_told_so() -> None:
    with pytest.raises(VendorError, match="exceeds the maximum number of tokens allowed"):
        g.fits(Sent({}, {}, PRO), 1_048_577)
