"""What Anthropic counts, how `usage` says so, and what is billed (protocols.md section 3.1)."""

from collections.abc import Iterator

from sandbox.vendors.conversation import Ask, Json, Sent, mapping
from sandbox.vendors.dialect import fresh
from sandbox.vendors.meter import Line, Work
from sandbox.vendors.script import Turn
from sandbox.vendors.usage import Tokens

_REQUESTS = {"web_search": "web_search_requests", "web_fetch": "web_fetch_requests"}
_NAMES = {"tool_search": "tool_search_tool_regex"}


def usage(tokens: Tokens) -> Json:
    """Cache apart from input, thinking inside output."""
    return {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.write_5m,
            "ephemeral_1h_input_tokens": tokens.write_1h,
        },
        "output_tokens": tokens.output + tokens.reasoning,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
        "service_tier": "standard",
    }


def counted(tokens: int) -> Json:
    """The answer of count_tokens."""
    return {"input_tokens": tokens}


def lines(ask: Ask, turn: Turn, tokens: Tokens) -> tuple[Line, ...]:
    """Every inference at its own model. `tokens` leaves out what compaction and advice took."""
    found = []
    if turn.summary:
        read, written = turn.summary
        found.append(Line("compaction", ask.model, Tokens(input=read, output=written)))
    if turn.advice:
        read, written = turn.advice
        advice = Tokens(input=read, output=written)
        found.append(Line("advisor_message", ask.advisor, advice))
    return (*found, Line("message", ask.model, tokens))


def _told(line: Line) -> Json:
    tokens = usage(line.tokens)
    told = {k: v for k, v in tokens.items() if k not in ("service_tier", "output_tokens_details")}
    named = {"model": line.model} if line.kind == "advisor_message" else {}
    return {"type": line.kind, **named, **told}


def beside(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Json:
    """What `usage` says besides tokens, where there is something to say."""
    done = work(sent, ask, turn, tokens)
    told: Json = {"service_tier": done.tier}
    if done.geo:
        told["inference_geo"] = done.geo
    if "speed" in sent.body:
        told["speed"] = done.speed
    if done.calls:
        told["server_tool_use"] = {k: v for k, v in done.calls.items() if k.endswith("_requests")}
    if len(done.lines) > 1:
        told["iterations"] = [_told(line) for line in done.lines]
    return told


def _calls(sent: Sent, turn: Turn) -> dict[str, int]:
    """Searches and pages by the request; code by the container, which serves a whole request, and
    is free beside the searches and pages of 2026-02-09 or later."""
    calls = {_REQUESTS[tool]: times for tool, times in turn.uses.items() if tool in _REQUESTS}
    asked = sent.body.get("tools")
    tools = [str(mapping(each).get("type")) for each in (asked if isinstance(asked, list) else ())]
    newer = [
        t for t in tools if t.startswith(("web_search_", "web_fetch_")) and t[-8:] > "20260208"
    ]
    paid = "code_execution" in turn.uses and not newer
    return calls | ({"code_execution_containers": 1} if paid else {})


def work(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Work:
    """Its own prompt decides the tier of each line; `speed` and geography are factors on all."""
    return Work(
        vendor="anthropic",
        model=ask.model,
        lines=lines(ask, turn, tokens),
        calls=_calls(sent, turn),
        tier=turn.tier or "standard",
        geo=str(sent.body.get("inference_geo") or ""),
        speed=str(sent.body.get("speed") or "standard"),
        finish=turn.raw_finish or turn.finish,
        broken=bool(turn.breaks),
        scripted=bool(turn.usage),
    )


def used(turn: Turn) -> Iterator[Json]:
    """The blocks of a summary, and of the tools that the vendor ran."""
    if turn.summary:
        yield {"type": "compaction", "content": "They talked about this and that."}
    for tool, times in turn.uses.items():
        for _ in range(times):
            yield from _pair(_NAMES.get(tool, tool), f"{tool}_tool_result")
    if turn.advice:
        yield from _pair("advisor", "advisor_tool_result")


def _pair(name: str, result: str) -> Iterator[Json]:
    ident = fresh("srvtoolu_")
    yield {"type": "server_tool_use", "id": ident, "name": name, "input": {}}
    yield {"type": result, "tool_use_id": ident, "content": []}
