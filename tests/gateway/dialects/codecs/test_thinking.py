"""Section 1.5 of the protocol map, row by row."""

import pytest

from gateway.dialects.codecs import thinking
from gateway.dialects.ir import Thinking
from tests.gateway.dialects.codecs import world

WORDS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
TABLE = {
    "gpt-4o": ("", "", "", "", "", "", ""),
    "gpt-5-mini": ("minimal", "minimal", "low", "medium", "high", "high", "high"),
    "gpt-5.1": ("none", "low", "low", "medium", "high", "high", "high"),
    "gpt-5.2": ("none", "low", "low", "medium", "high", "xhigh", "xhigh"),
    "gpt-5.3-codex": ("none", "low", "low", "medium", "high", "xhigh", "xhigh"),
    "gpt-5.4-mini": ("none", "low", "low", "medium", "high", "xhigh", "xhigh"),
    "gpt-5.6": ("none", "low", "low", "medium", "high", "xhigh", "max"),
    "gpt-6-astra": ("none", "low", "low", "medium", "high", "xhigh", "max"),
    "claude-sonnet-4-6": ("off", "low", "low", "medium", "high", "high", "max"),
    "claude-opus-4-7": ("off", "low", "low", "medium", "high", "xhigh", "max"),
    "claude-opus-5-5": ("low", "low", "low", "medium", "high", "xhigh", "max"),
    "claude-sonnet-5-5": ("between_tools", "low", "low", "medium", "high", "xhigh", "max"),
    "gemini-3-flash-preview": (*("minimal", "minimal", "low", "medium", "high", "high", "high"),),
    "gemini-3.1-pro-preview": ("low", "low", "low", "medium", "high", "high", "high"),
    "gemini-3.8-flash": ("low", "low", "low", "medium", "high", "high", "high"),
}
CASES = [
    (model, word, said)
    for model, row in TABLE.items()
    for word, said in zip(WORDS, row, strict=True)
]


def asked(word: str) -> Thinking:
    return Thinking("off", "none") if word == "none" else Thinking("effort", word)


@pytest.mark.parametrize(("model", "word", "said"), CASES)
def test_a_word_is_said_as_the_model_knows_it(model: str, word: str, said: str) -> None:
    settled = thinking.settle(asked(word), world.target(model))
    assert (settled.effort or settled.mode) == said


@pytest.mark.parametrize(
    ("model", "word", "budget"),
    [
        ("claude-sonnet-4", "minimal", 1_024),
        ("claude-sonnet-4-5", "low", 4_096),
        ("claude-haiku-4-5", "medium", 16_384),
        ("claude-opus-4-5", "high", 32_768),
        ("gemini-2.5-pro", "xhigh", 32_768),
        ("gemini-2.5-pro", "none", 128),
    ],
)
def test_a_word_is_worth_a_budget(model: str, word: str, budget: int) -> None:
    assert thinking.settle(asked(word), world.target(model)).budget == budget


@pytest.mark.parametrize(
    ("budget", "word"),
    [(0, "none"), (1_024, "low"), (8_192, "medium"), (32_768, "high"), (65_536, "xhigh")],
)
def test_a_budget_reaches_a_word(budget: int, word: str) -> None:
    assert thinking.effort_of(budget) == word
    told = thinking.settle(Thinking("budget", "", budget), world.target("gpt-5.2"))
    assert told.effort == word


@pytest.mark.parametrize(
    ("max_output", "budget"),
    [(32_000, 28_800), (64_000, 31_999), (2_000, None), (3_000, 1_976)],
)
def test_room_is_left_for_the_answer(max_output: int, budget: int | None) -> None:
    claude = world.target("claude-sonnet-4-5")
    settled = thinking.settle(Thinking("budget", "", 31_999), claude, max_output)
    if max_output == 32_000:
        assert settled.budget == 31_999
    else:
        assert settled.budget == budget
        assert (settled.mode == "off") is (budget is None)


@pytest.mark.parametrize(
    ("cap", "word", "budget"),
    [(8_000, "medium", 8_000), (16_000, "medium", 16_000), (32_000, "high", 32_000)]
    + [(64_000, "xhigh", 64_000)],
)
def test_the_plan_caps_words_and_budgets_alike(cap: int, word: str, budget: int) -> None:
    most = Thinking("effort", "max")
    assert thinking.settle(most, world.target("gpt-5.2", thinking_cap=cap)).effort == word
    claude = world.target("claude-sonnet-4-5", thinking_cap=cap)
    assert thinking.settle(most, claude).budget == budget
    unsaid = Thinking("adaptive")
    newest = thinking.settle(unsaid, world.target("claude-opus-4-7", thinking_cap=8_000))
    assert newest.effort == "medium"


def test_what_is_not_asked_is_not_sent() -> None:
    for model in TABLE:
        assert thinking.settle(Thinking(), world.target(model)) == Thinking()


def test_a_word_from_the_future_is_the_models_default() -> None:
    settled = thinking.settle(Thinking("effort", "ultra"), world.target("gpt-5.2"))
    assert settled.effort == ""


def test_what_is_settled_has_a_number_for_the_receipt() -> None:
    high = Thinking("effort", "high")
    for model in ("gpt-5.2", "claude-opus-4-6", "claude-opus-4-5", "gemini-3.1-pro-preview"):
        assert thinking.nominal(thinking.settle(high, world.target(model))) == 32_768
