"""What was bought for nearly nothing once, at the numbers it was bought at; and its siblings.

Beyond what is asserted here, the fixture `gateway` holds each receipt to the vendors' meter.
"""

from typing import Any

import orjson
import pytest

from gateway.plane import watching
from tests.gateway_server import Gateway, fund
from tests.money import papers, world
from tests.world import Person

DOLLAR = 1_000_000_000
DIALECTS = ["chat", "responses", "messages"]
HIDDEN = "[[reason: 30000]] [[say: Yes.]]"


@pytest.fixture
def payer(gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Alice, who can pay for it; that she left is seen at once."""
    monkeypatch.setattr(watching, "WATCH_AFTER_SECONDS", 0.001)
    world.unlimited()
    return fund(alice, "100")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_leaving_at_the_last_word_pays_the_reasoning(
    gateway: Gateway, payer: Person, dialect: str
) -> None:
    body = world.asked(dialect, "gpt-5.2:max", f"{HIDDEN} [[slow: 0.02]]")
    world.leave(gateway, payer, dialect, body, after=b"Yes.")
    event = world.receipt(gateway)
    assert (event.status, event.reasoning) == (499, 30_000)
    assert event.cost >= 0.60 * DOLLAR
    assert gateway.balance(payer) == 100 * DOLLAR - event.cost


@pytest.mark.parametrize("display", ["summarized", "omitted"])
def test_leaving_before_claude_tells_its_numbers_pays_the_thinking(
    gateway: Gateway, payer: Person, display: str
) -> None:
    thinking = {"type": "enabled", "budget_tokens": 32_000, "display": display}
    text = f"{HIDDEN} [[think: Hm.]] [[slow: 0.02]]"
    body = world.asked("messages", "claude-opus-4.5", text, thinking=thinking)
    world.leave(gateway, payer, "messages", body, after=b"Yes.")
    assert world.receipt(gateway).cost >= 0.75 * DOLLAR


@pytest.mark.parametrize("dialect", ["chat", "responses"])
@pytest.mark.parametrize("model", ["claude-opus-4.5:high", "gemini-2.5-pro:high"])
def test_so_does_who_leaves_it_through_another_dialect(
    gateway: Gateway, payer: Person, dialect: str, model: str
) -> None:
    body = world.asked(dialect, model, f"{HIDDEN} [[think: Hm.]] [[slow: 0.02]]")
    world.leave(gateway, payer, dialect, body, after=b"Yes.")
    rate = 25_000 if "claude" in model else 10_000
    assert world.receipt(gateway).cost >= 30_000 * rate


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["chat", "messages"])
@pytest.mark.parametrize("said", ["Yes. <<<END>>> and more", "<<<END>>>", "Never."])
def test_a_stop_that_the_vendor_does_not_know_is_exact(
    gateway: Gateway, payer: Person, dialect: str, stream: bool, said: str
) -> None:
    name = "stop_sequences" if dialect == "messages" else "stop"
    text = f"[[reason: 30000]] [[say: {said}]]"
    body = world.asked(dialect, "gpt-5.2:max", text, stream=stream, **{name: ["<<<END>>>"]})
    status, answer = world.send(gateway, payer, dialect, body)
    assert status == 200
    assert b"and more" not in answer
    event = world.receipt(gateway)
    assert event.reasoning == 30_000
    assert 0.60 * DOLLAR <= event.cost <= 0.60 * DOLLAR + 40 * 20_000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-5.2", "gemini-2.5-pro"])
@pytest.mark.parametrize(
    ("dialect", "limit", "effort"),
    [
        ("chat", "max_tokens", {"reasoning_effort": "low"}),
        ("chat", "max_completion_tokens", {"reasoning_effort": "low"}),
        ("responses", "max_output_tokens", {"reasoning": {"effort": "low"}}),
    ],
)
def test_a_limit_of_nothing_is_none_and_a_small_balance_still_bounds_the_thinking(
    gateway: Gateway,
    alice: Person,
    dialect: str,
    limit: str,
    effort: dict[str, Any],
    model: str,
    stream: bool,
) -> None:
    world.unlimited()
    fund(alice, "0.05")
    body = world.asked(dialect, model, "[[reason: 10000]] [[say: Yes.]]", stream=stream, **effort)
    body = {name: value for name, value in body.items() if "max_" not in name} | {limit: 0}
    assert world.send(gateway, alice, dialect, body)[0] == 200
    event = world.receipt(gateway)
    assert event.reasoning > 0
    assert "charge" not in event.details.get("clamps", {})  # no more was made than was held


def test_text_that_calls_itself_an_image_is_text(gateway: Gateway, payer: Person) -> None:
    fake = {"type": "image", "text": "x" * 720_000}
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": fake}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
    history = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    body = {"model": "claude-opus-4.5", "max_tokens": 16, "messages": history}
    status, _ = world.send(gateway, payer, "messages", body)
    assert status == 200
    assert world.receipt(gateway).cost >= 0.90 * DOLLAR


def test_arguments_that_call_themselves_an_image_are_text(gateway: Gateway, payer: Person) -> None:
    arguments = orjson.dumps({"type": "image_url", "image_url": "x" * 400_000}).decode()
    function = {"name": "look", "arguments": arguments}
    history = [
        {"role": "user", "content": "Look."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "ok"},
    ]
    body = {"model": "gpt-4o", "max_tokens": 16, "messages": history}
    status, _ = world.send(gateway, payer, "chat", body)
    assert status == 200
    assert world.receipt(gateway).cost >= 100_000 * 2_500


def documents(dialect: str, **source: Any) -> list[dict[str, Any]]:
    text = "[[document: 180000 tokens]] Sum it up."
    if dialect == "messages":
        block = {"type": "document", "source": source}
        return [block, {"type": "text", "text": text}]
    return [{"type": "input_file", **source}, {"type": "input_text", "text": text}]


@pytest.mark.parametrize(
    ("dialect", "model", "source"),
    [
        ("messages", "claude-opus-4.5", {"type": "url", "url": "https://example.com/a.pdf"}),
        ("messages", "claude-opus-4.5", {"type": "file", "file_id": "file_1"}),
        ("responses", "gpt-5.2", {"file_url": "https://example.com/a.pdf"}),
        ("responses", "gpt-5.2", {"file_id": "file-1"}),
    ],
)
def test_a_document_elsewhere_is_paid_or_refused(
    gateway: Gateway, payer: Person, dialect: str, model: str, source: dict[str, Any]
) -> None:
    content = documents(dialect, **source)
    member, limit = ("input", "max_output_tokens")
    if dialect == "messages":
        member, limit = ("messages", "max_tokens")
    said = [{"role": "user", "content": content}]
    body: dict[str, Any] = {"model": model, member: said, limit: 16}
    status, _ = world.send(gateway, payer, dialect, body, beta="files-api-2025-04-14")
    if status == 200:
        assert world.receipt(gateway).cost >= 180_000 * 5_000
        assert world.receipt(gateway).cost == gateway.books()[0].cost <= gateway.books()[0].hold
    else:
        assert (status, gateway.vendors.requests) == (400, [])


@pytest.mark.parametrize("packed", [False, True])
def test_a_small_pdf_of_many_pages_is_paid_by_the_page(
    gateway: Gateway, payer: Person, packed: bool
) -> None:
    data = papers.pdf(60, packed=packed)
    assert len(data) < 4_000
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    content = [{"type": "document", "source": source}, {"type": "text", "text": "Sum it up."}]
    message = {"role": "user", "content": content}
    body = {"model": "claude-opus-4.5", "max_tokens": 16, "messages": [message]}
    status, _ = world.send(gateway, payer, "messages", body)
    assert status == 200
    assert world.receipt(gateway).cost >= 60 * 2_500 * 5_000


def test_who_cannot_pay_for_the_pages_is_refused_first(gateway: Gateway, bob: Person) -> None:
    fund(bob, "0.10")
    source = {
        "type": "base64",
        "media_type": "application/pdf",
        "data": papers.pdf(60, packed=True),
    }
    content = [{"type": "document", "source": source}, {"type": "text", "text": "Sum it up."}]
    message = {"role": "user", "content": content}
    body = {"model": "claude-opus-4.5", "max_tokens": 16, "messages": [message]}
    status, _ = world.send(gateway, bob, "messages", body)
    assert (status, gateway.vendors.requests) == (402, [])


def test_servers_of_ones_own_are_left_out_and_named(gateway: Gateway, payer: Person) -> None:
    servers = [{"type": "url", "url": "https://example.com/mcp", "name": "mine"}]
    body = world.asked("messages", "claude-opus-4.5", "hi", mcp_servers=servers)
    status, _ = world.send(gateway, payer, "messages", body, beta="mcp-client-2025-11-20")
    assert status == 200
    assert "mcp_servers" not in gateway.vendors.last.body
    assert "mcp" not in gateway.vendors.last.headers.get("anthropic-beta", "")


def test_the_advisor_is_paid_at_its_own_price(gateway: Gateway, payer: Person) -> None:
    tool = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-6"}
    text = "[[advise: 50000 20000]] [[say: ok]]"
    body = world.asked("messages", "claude-haiku-4.5", text, tools=[tool])
    status, _ = world.send(gateway, payer, "messages", body, beta="advisor-tool-2026-03-01")
    assert status == 200
    own = world.bill(gateway).lines[-1].tokens
    assert world.receipt(gateway).cost == (
        50_000 * 5_000 + 20_000 * 25_000 + own.input * 1_000 + own.output * 5_000
    )


def test_leaving_does_not_make_an_advisor_free(gateway: Gateway, payer: Person) -> None:
    tool = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-6"}
    text = "[[advise: 50000 20000]] [[slow: 0.02]] [[say: one two three]]"
    body = world.asked("messages", "claude-haiku-4.5", text, tools=[tool])
    headers = {"anthropic-beta": "advisor-tool-2026-03-01"}
    world.leave(gateway, payer, "messages", body, after=b"two", headers=headers)
    assert world.receipt(gateway).cost >= 0.75 * DOLLAR


def test_an_advisor_we_do_not_sell_is_not_asked(gateway: Gateway, payer: Person) -> None:
    tool = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-9"}
    body = world.asked("messages", "claude-haiku-4.5", "[[advise: 5 5]]", tools=[tool])
    world.send(gateway, payer, "messages", body, beta="advisor-tool-2026-03-01")
    assert all("claude-opus-9" not in str(r.body) for r in gateway.vendors.requests)


def test_a_geography_has_its_factor(gateway: Gateway, payer: Person) -> None:
    body = world.asked("messages", "claude-opus-4.6", "[[say: ok]]", inference_geo="us")
    status, _ = world.send(gateway, payer, "messages", body)
    assert status == 200
    tokens = world.bill(gateway).lines[0].tokens
    exact = (tokens.input * 5_000 + tokens.output * 25_000) * 11
    assert world.receipt(gateway).cost == (exact + 5) // 10


def test_each_iteration_is_priced_by_its_own_prompt(gateway: Gateway, payer: Person) -> None:
    """Neither prompt was over 200,000 tokens, though their sum is."""
    text = "[[usage: 23000 1000]] [[compact: 180000 3500]] " + "word " * 180_000
    edits = {"edits": [{"type": "compact_20260112"}]}
    body = world.asked(
        "messages", "claude-sonnet-4.6", text, context_management=edits, max_tokens=5_000
    )
    status, _ = world.send(gateway, payer, "messages", body, beta="compact-2026-01-12")
    assert status == 200
    assert world.receipt(gateway).cost == 676_500_000


@pytest.mark.parametrize(
    "members",
    [
        '"model": "gpt-4o-mini", "model": "gpt-4o"',
        '"model": "gpt-4o-mini", "MODEL": "gpt-4o"',
        '"model": "gpt-4o", "max_tokens": 1, "Max_Tokens": 16000',
        '"model": "gpt-4o", "max_tokens": 1, "max_\\u0074okens": 16000',
        '"model": "gpt-4o", "n": 1, "N": 100',
        '"model": "gpt-4o", "n": 1, "n": 100',
    ],
)
def test_a_member_that_matters_comes_once(gateway: Gateway, payer: Person, members: str) -> None:
    body = f'{{{members}, "messages": [{{"role": "user", "content": "hi"}}]}}'
    with gateway.http(payer) as client:
        reply = client.post("/v1/chat/completions", content=body)
    assert reply.status_code == 400
    assert gateway.vendors.requests == []


def test_the_smaller_of_two_limits_does_not_pay_for_the_larger(
    gateway: Gateway, payer: Person
) -> None:
    body = world.asked("chat", "gpt-4o", "[[say: " + "word " * 500 + "]]")
    body |= {"max_completion_tokens": 1, "max_tokens": 16_000}
    status, _ = world.send(gateway, payer, "chat", body)
    if status == 200:
        (sent,) = [r.body for r in gateway.vendors.requests]
        assert len({"max_tokens", "max_completion_tokens"} & set(sent)) == 1
        assert world.receipt(gateway).output <= 1


@pytest.mark.parametrize("n", [129, 10**9, -1, 0, True, 1.5, "3"])
def test_choices_are_capped_as_the_vendor_caps_them(
    gateway: Gateway, payer: Person, n: object
) -> None:
    status, _ = world.send(gateway, payer, "chat", world.asked("chat", "gpt-4o", "hi", n=n))
    assert (status, gateway.vendors.requests) == (400, [])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_gemini_stream_is_exact_wherever_it_is_cut(
    gateway: Gateway, payer: Person, dialect: str
) -> None:
    words = " ".join(f"word{n}" for n in range(60))
    body = world.asked(dialect, "gemini-2.5-pro", f"[[slow: 0.01]] [[say: {words}]]")
    world.leave(gateway, payer, dialect, body, after=b"word20")
    event, due = world.receipt(gateway), world.due(gateway)
    assert (event.cost, gateway.balance(payer)) == (due, 100 * DOLLAR - due)
