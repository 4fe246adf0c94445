"""Clients that send no secret back, and secrets an upstream calls stale."""

from dataclasses import replace

from gateway.dialects import codecs
from gateway.dialects.codecs import carrier, recall
from gateway.dialects.codecs.fold import fold
from gateway.dialects.ir import Request
from tests.gateway.dialects.codecs import world
from tests.gateway.dialects.codecs.world import row, user

GEMINI, CLAUDE = "gemini-3.1-pro-preview", "claude-sonnet-4-5"


def forgetful(recording: str, model: str) -> tuple[Request, dict[str, list[str]]]:
    """The next turn of a Chat client that echoes only the standard fields, and what we kept."""
    stream = (world.RECORDINGS / f"{recording}.sse").read_bytes()
    reply = fold(world.read(world.ask("openai_chat"), world.target(model), stream))
    message = world.unary(world.ask("openai_chat"), reply)["choices"][0]["message"]
    for call in message["tool_calls"]:
        call.pop("extra_content", None)
    shown = {"role": "assistant", "content": message["content"]}
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "x"}
        for call in message["tool_calls"]
    ]
    told = world.chat(user("hi"), shown | {"tool_calls": message["tool_calls"]}, *results)
    return world.ask("openai_chat", told), recall.kept(reply, world.KEY)


@row("065")
def test_a_kept_signature_is_back_on_its_call() -> None:
    request, known = forgetful("gemini/tools", GEMINI)
    assert len(recall.missing(request)) == 2 and len(known) == 1
    whole = replace(request, items=recall.recalled(request, known))
    body = codecs.UPSTREAMS["gemini"].encode_request(whole, world.target(GEMINI))
    parts = body["contents"][1]["parts"]
    assert [p.get("thoughtSignature") for p in parts if "functionCall" in p] == ["c2lnQQ==", None]
    assert recall.missing(whole) == []


def test_kept_thoughts_are_back_before_their_call() -> None:
    request, known = forgetful("anthropic_messages/tools", CLAUDE)
    whole = replace(request, items=recall.recalled(request, known))
    body = codecs.UPSTREAMS["anthropic_messages"].encode_request(whole, world.target(CLAUDE))
    kinds = [block["type"] for block in body["messages"][1]["content"]]
    assert kinds == ["text", "thinking", "redacted_thinking", "tool_use", "tool_use"]
    other = codecs.UPSTREAMS["gemini"].encode_request(whole, world.target(GEMINI))
    assert "EqoB" not in repr(other)


def test_a_stale_secret_is_left_out_of_the_retry() -> None:
    request, known = forgetful("gemini/tools", GEMINI)
    whole = replace(request, items=recall.recalled(request, known))
    again = codecs.UPSTREAMS["gemini"].encode_request(
        carrier.stripped(whole), world.target("gemini-3.1-pro-preview")
    )
    assert "c2lnQQ==" not in repr(again)
