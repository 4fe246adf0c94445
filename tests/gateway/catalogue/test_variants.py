"""Names of models: variants, aliases, prefixes; how hard to think, and who is told."""

from typing import Any

import pytest

from billing.plans.models import Plan
from gateway.catalogue.models import Alias
from tests.gateway.plane.test_translation import PATHS, ask
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database


def chat(gateway: Gateway, person: Person, model: str, **fields: Any) -> Any:
    return ask(gateway, person, "openai_chat", model, "[[say: hi]]", **fields)


@pytest.mark.parametrize(
    ("name", "model", "told"),
    [
        ("claude-sonnet-4.5:high", "claude-sonnet-4.5", "8000; asked=32768; clamped-by=plan"),
        ("CLAUDE-SONNET-4.5:MAX", "claude-sonnet-4.5", "8000; asked=65536; clamped-by=plan"),
        ("claude-sonnet-4:high-1m", "claude-sonnet-4", "8000; asked=32768; clamped-by=plan"),
        ("claude-sonnet-4-1M:High", "claude-sonnet-4", "8000; asked=32768; clamped-by=plan"),
        ("claude-sonnet-4[1m]", "claude-sonnet-4", None),
        ("anthropic/claude-sonnet-4-6", "claude-sonnet-4.6", None),
        ("claude-opus-5-5", "claude-opus-4.6", None),
        ("claude-haiku-5-5-20260901", "claude-haiku-4.5", None),
        ("gpt-5.4-nano", "gpt-5.4-mini", None),
        ("openai/gpt-4o-2024-05-13", "gpt-4o", None),
        ("gpt-4o:max", "gpt-4o", "0; asked=65536; clamped-by=model"),
        ("gemini-2.5-pro:high", "gemini-2.5-pro", "8000; asked=32768; clamped-by=plan"),
    ],
)
def test_a_name_means_a_model_and_how_it_is_asked(
    gateway: Gateway, alice: Person, name: str, model: str, told: str | None
) -> None:
    fund(alice, "50")
    reply = chat(gateway, alice, name)
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-hontoni-model"] == model
    assert reply.json()["model"] == name
    assert reply.headers.get("x-hontoni-thinking-budget") == told
    (event,) = gateway.books()
    assert (event.model, event.requested_model) == (model, name)
    assert ("thinking" in event.details.get("clamps", {})) == (told is not None)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.2", "claude-sonnet-4.5", "gemini-2.5-pro"])
@pytest.mark.parametrize("dialect", PATHS)
def test_a_limit_beyond_the_model_is_clamped_as_the_header_says(
    gateway: Gateway, alice: Person, dialect: str, model: str
) -> None:
    fund(alice, "50")
    name = "max_output_tokens" if dialect == "openai_responses" else "max_tokens"
    reply = ask(gateway, alice, dialect, model, "[[say: hi]]", **{name: 9_999_999})
    assert reply.status_code == 200, reply.text
    applied, asked, by = reply.headers["x-hontoni-max-tokens"].split("; ")
    assert (asked, by) == ("asked=9999999", "clamped-by=model")
    sent = gateway.vendors.last.body
    sent = sent.get("generationConfig", sent)
    limits = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
    assert [sent[each] for each in limits if each in sent] == [int(applied)]


FORCED = {
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "required",
}


@pytest.mark.parametrize(
    ("model", "fields", "told", "sent"),
    [
        ("claude-sonnet-4.5:max", {}, "57600; asked=65536; clamped-by=model", 57_600),
        (
            "claude-sonnet-4.5:max",
            {"max_tokens": 20_000},
            "18000; asked=65536; clamped-by=max_tokens",
            18_000,
        ),
        ("claude-sonnet-4.5:high", FORCED, "0; asked=32768; clamped-by=tools", None),
        ("gemini-2.5-pro:max", {}, "32768; asked=65536; clamped-by=model", 32_768),
    ],
    ids=["default limit", "limit", "forced call", "gemini"],
)
def test_the_header_the_receipt_and_the_estimate_tell_the_budget_that_is_sent(
    gateway: Gateway,
    alice: Person,
    model: str,
    fields: dict[str, Any],
    told: str,
    sent: int | None,
) -> None:
    fund(alice, "50")
    Plan.objects.update(thinking_budget=64_000)
    reply = chat(gateway, alice, model, **fields)
    assert reply.status_code == 200, reply.text
    assert reply.headers.get_list("x-hontoni-thinking-budget") == [told]
    body = gateway.vendors.last.body
    config = body.get("generationConfig", {}).get("thinkingConfig") or body["thinking"]
    assert config.get("thinkingBudget", config.get("budget_tokens")) == sent
    (event,) = gateway.books()
    assert event.details["clamps"]["thinking"]["applied"] == (sent or 0)
    with gateway.http(alice) as client:
        asked = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
        estimate = client.post("/v1/estimate?dialect=openai_chat", json=asked).json()
    assert estimate["clamps"]["thinking"] == event.details["clamps"]["thinking"]


def test_a_balance_that_fits_less_output_fits_less_thinking(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "0.05")
    reply = chat(gateway, alice, "claude-sonnet-4.5:high", max_tokens=60_000)
    assert reply.status_code == 200, reply.text
    assert len(reply.headers.get_list("x-hontoni-max-tokens")) == 1
    budget = gateway.vendors.last.body["thinking"]["budget_tokens"]
    (told,) = reply.headers.get_list("x-hontoni-thinking-budget")
    assert told == f"{budget}; asked=32768; clamped-by=balance" and budget < 8_000


def test_an_effort_is_told_in_the_models_own_word(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    reply = chat(gateway, alice, "gpt-5.2:max")
    assert gateway.vendors.last.body["reasoning"]["effort"] == "medium"
    told = reply.headers["x-hontoni-thinking-budget"]
    assert told == "16384; effort=medium; asked=65536; clamped-by=plan"


def test_explicit_parameters_win_but_for_an_agents_constant_default(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "50")
    fields: dict[str, Any] = {
        "model": "claude-sonnet-4.5:high",
        "max_tokens": 20_000,
        "messages": [{"role": "user", "content": "[[say: hi]]"}],
        "thinking": {"type": "enabled", "budget_tokens": 2_000},
    }
    with gateway.http(alice) as client:
        client.post("/v1/messages", json=fields)
        assert gateway.vendors.last.body["thinking"]["budget_tokens"] == 2_000
        agent = {"user-agent": "claude-cli/2.1.330 (external, cli)"}
        client.post("/v1/messages", json=fields, headers=agent)
        assert gateway.vendors.last.body["thinking"]["budget_tokens"] == 8_000
        off = fields | {"thinking": {"type": "disabled"}}
        client.post("/v1/messages", json=off, headers=agent)
        assert gateway.vendors.last.body["thinking"] == {"type": "disabled"}


def test_a_long_context_is_switched_on_or_refused_with_the_models_that_have_one(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "50")
    assert chat(gateway, alice, "claude-sonnet-4-1m").status_code == 200
    headers = gateway.vendors.last.headers
    assert headers["anthropic-beta"] == "context-1m-2025-08-07"
    assert chat(gateway, alice, "claude-sonnet-4.6-1m").status_code == 200
    assert "anthropic-beta" not in gateway.vendors.last.headers
    refused = chat(gateway, alice, "gpt-5.2-1m")
    assert refused.status_code == 400
    message = refused.json()["error"]["message"]
    assert "claude-sonnet-4," in message and "claude-opus-4.6" in message
    noted = chat(gateway, alice, "gpt-4o-1m")
    assert noted.headers["x-hontoni-context"] == "128000; asked=1m; clamped-by=model"


def test_a_prompt_beyond_the_normal_context_costs_the_long_contexts_price(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "50")
    text = "[[usage: 250000 1000 0 0]] [[say: hi]]" + " long" * 60_000
    ask(gateway, alice, "openai_chat", "claude-sonnet-4-1m", text)
    (event,) = gateway.books()
    assert event.cost == 250_000 * 6_000 + 1_000 * 22_500


def test_staff_can_add_a_name_and_an_unknown_one_is_a_404(gateway: Gateway, alice: Person) -> None:
    from gateway.catalogue import snapshot

    fund(alice, "50")
    assert chat(gateway, alice, "house-blend").status_code == 404
    Alias.objects.create(name="house-blend", model_id="gpt-4o")
    snapshot.forget()
    reply = chat(gateway, alice, "House-Blend")
    assert reply.headers["x-hontoni-model"] == "gpt-4o"
