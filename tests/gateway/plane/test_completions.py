"""OpenAI's legacy Completions, at every model that chats."""

from typing import Any

import pytest
from openai import BadRequestError

from tests.gateway_server import Gateway, fund
from tests.world import Person

MODELS = ("gpt-4o", "gpt-5.2", "claude-sonnet-4.5", "gemini-3-flash-preview")


@pytest.mark.parametrize("model", MODELS)
def test_a_text_is_continued_whole_and_streamed_at_one_price(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    client = gateway.openai(alice)
    asked: dict[str, Any] = {"model": model, "prompt": "[[usage: 100 20 0 0]][[say: one two]]"}
    whole = client.completions.create(**asked)
    chunks = list(
        client.completions.create(stream=True, stream_options={"include_usage": True}, **asked)
    )
    choice = whole.choices[0]
    assert (choice.text, choice.finish_reason) == ("one two", "stop")
    assert "".join(c.choices[0].text for c in chunks if c.choices) == "one two"
    assert chunks[-1].usage == whole.usage and whole.model == model
    first, second = gateway.books()
    assert first.cost == second.cost > 0 and first.usage == second.usage
    assert (first.dialect, first.estimated) == ("openai_completions", False)


def test_a_gap_is_filled_between_prompt_and_suffix(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    client = gateway.openai(alice)
    filled = client.completions.create(
        model="claude-haiku-4.5", prompt="def add(a, b):\n    return ",
        suffix="[[say: a + b END]]", max_tokens=50, stop=["\n\n", " END"], temperature=0,
    )  # fmt: skip
    assert filled.choices[0].text == "a + b"
    sent = gateway.vendors.last.body
    assert sent["messages"][0]["content"][0]["text"].count("<|gap|>") == 1
    assert (sent["max_tokens"], sent["stop_sequences"]) == (50, [" END"])  # the other is ours


def test_echo_puts_the_prompt_before_the_answer(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    client, prompt = gateway.openai(alice), "[[say: two]]"
    asked: dict[str, Any] = {"model": "gpt-4o", "prompt": [prompt], "echo": True}
    assert client.completions.create(**asked).choices[0].text == f"{prompt}two"
    chunks = client.completions.create(stream=True, **asked)
    assert "".join(c.choices[0].text for c in chunks if c.choices) == f"{prompt}two"


@pytest.mark.parametrize(
    "odd",
    [{"n": 2}, {"best_of": 3}, {"logprobs": 1}, {"prompt": ["a", "b"]}, {"prompt": [1, 2]},
     {"prompt": ""}, {"stop": 3}],
)  # fmt: skip
def test_what_could_not_be_given_is_refused_by_name(
    gateway: Gateway, alice: Person, odd: dict[str, Any]
) -> None:
    fund(alice, "1")
    (name,) = odd
    with pytest.raises(BadRequestError) as caught:
        gateway.openai(alice).completions.create(**{"model": "gpt-4o", "prompt": "a", **odd})
    assert caught.value.param == name
    assert gateway.vendors.requests == [] and gateway.books() == []
