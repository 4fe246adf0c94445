"""What to answer. A prompt may ask for a behaviour by directives in its user text:

[[say: TEXT]]            answer TEXT; {result} in it is the last tool result (first 200 characters)
[[think: TEXT]]          reason TEXT first, where the request lets the model reason
[[redact]]               with Claude thinking, a redacted_thinking block as well
[[tool: {"name": N, "args": {...}}]]   call that tool ("input": TEXT for a custom tool)
[[parallel]]             all tool calls of the message in one turn, not one a turn
[[json: {...}]]          answer with exactly that JSON; with a forced tool, its arguments
[[error: 429 MESSAGE]]   fail with that status in the vendor's shape
[[errors: N STATUS]]     fail the first N attempts of this prompt, then answer
[[midstream]]            send half, then the vendor's error event
[[failed]]               Responses: send half, then response.failed
[[cut]]                  send half, then drop the connection
[[comments]]             SSE comment lines between the events
[[slow: SECONDS]]        pause between events
[[delay: SECONDS]]       pause before the first byte
[[length]]               stop for length
[[finish: WORD]]         stop for the reason that the vendor calls so
[[refuse]]               the vendor's refusal
[[nousage]]              leave the usage out
[[reason: N]]            reason so many tokens, where the request lets the model reason, and no
                         more than it lets it; at REASONING_SPEED
[[ponder: SECONDS]]      reasoning takes so long
[[document: N pages]]    what is behind a URL or a file id (or: N tokens)
[[use: TOOL N]]          call a tool of the vendor's N times, where it is on offer
[[advise: IN OUT]]       ask the advisor on offer, which reads and writes so many tokens
[[compact: IN OUT]]      summarise the history first, where the request allows it
[[tier: WORD]]           serve at that tier, whatever was asked for
[[usage: IN OUT CACHED REASONING WRITE_5M WRITE_1H]]   these numbers in the vendor's own fields

They are read from the last user message that has any. Tool results after it are steps done.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from json import JSONDecodeError, JSONDecoder
from typing import Any, Literal

from sandbox.vendors.conversation import Ask, Json, Said, Tool, mapping
from sandbox.vendors.schema import sample
from sandbox.vendors.usage import count, dumps
from sandbox.vendors.vendors import VendorError, describe

THOUGHT = "The user would like a short and friendly answer."
REASONING_SPEED = 300_000
"""Tokens a second, where a prompt says how many and not how long."""
REFUSAL = "I'm sorry, but I can't help with that."

Finish = Literal["stop", "stop_sequence", "tool_calls", "length", "refusal"]
Break = Literal["", "midstream", "failed", "cut"]

_OPENING = re.compile(
    r"\[\[(say|think|redact|tool|parallel|json|errors|error|midstream|failed|cut|comments"
    r"|slow|delay|length|finish|refuse|nousage|usage|reason|ponder|document|use|advise|compact"
    r"|tier)(?=\s*[:\]])\s*"
)
_CLOSING = re.compile(r"\s*\]\]")
_MESSAGES = {
    400: "The request was invalid.",
    429: "Rate limit reached. Please try again later.",
    529: "Overloaded",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call. `args` is text for a custom tool."""

    name: str
    args: Any
    custom: bool = False
    namespace: str | None = None

    @property
    def text(self) -> str:
        return self.args if self.custom else dumps(self.args)

    @property
    def tokens(self) -> int:
        return count(self.name) + count(self.text)


@dataclass(frozen=True, slots=True)
class Turn:
    """An answer, whatever dialect it will be given in. Times are in seconds."""

    text: str
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    finish: Finish = "stop"
    stop: str | None = None
    raw_finish: str | None = None
    breaks: Break = ""
    reasoning: int = 0
    uses: Mapping[str, int] = field(default_factory=dict)
    advice: tuple[int, int] | None = None
    summary: tuple[int, int] | None = None
    tier: str = ""
    ponder: float = 0.0
    redacted: bool = False
    comments: bool = False
    slow: float = 0.0
    delay: float = 0.0
    usage: tuple[int | None, ...] = ()
    has_usage: bool = True

    @property
    def thought(self) -> int:
        """Tokens of its reasoning."""
        return self.reasoning or count(self.thinking)


class Attempts:
    """How often a prompt that wants to fail first has been tried."""

    def __init__(self) -> None:
        self._tried: OrderedDict[str, int] = OrderedDict()

    def clear(self) -> None:
        self._tried.clear()

    def note(self, prompt: str) -> int:
        key = hashlib.sha256(prompt.encode()).hexdigest()
        self._tried[key] = self._tried.get(key, 0) + 1
        if len(self._tried) > 1000:
            self._tried.popitem(last=False)
        return self._tried[key]


def directives(text: str) -> Iterator[tuple[str, str]]:
    """The directives of a text, in order, each with its argument."""
    at = 0
    while opening := _OPENING.search(text, at):
        at = opening.end()
        if text[at] != ":":
            yield opening[1], ""
            continue
        argument, at = _argument(opening[1], text, at + 1)
        yield opening[1], argument


def _argument(name: str, text: str, start: int) -> tuple[str, int]:
    if name in ("tool", "json"):  # JSON may hold "]]" itself
        begin = start + len(text[start:]) - len(text[start:].lstrip())
        try:
            _, end = JSONDecoder().raw_decode(text, begin)
        except JSONDecodeError:
            pass
        else:
            if closing := _CLOSING.match(text, end):
                return text[begin:end], closing.end()
    end = text.find("]]", start)
    end = len(text) if end < 0 else end
    return text[start:end].strip(), end + 2


def plan(ask: Ask, attempts: Attempts) -> Turn:
    """What to answer. Raises VendorError where the prompt asks for an error."""
    try:
        return _plan(ask, attempts)
    except ValueError as error:
        raise VendorError(f"The sandbox cannot read a directive: {error}") from None


def _plan(ask: Ask, attempts: Attempts) -> Turn:
    at = _last_scripted(ask.history)
    prompt = ask.history[at].text if at is not None else ""
    wanted = list(directives(prompt))
    _fail(wanted, prompt, attempts)
    words = dict(wanted)
    results = [r for said in ask.history[at or 0 :] for r in said.results]
    calls = _calls(ask, wanted, results if at is not None else [])
    turn = Turn(
        text="" if calls and "say" not in words else _text(ask, wanted, results),
        thinking=words.get("think", THOUGHT) if ask.thinks else "",
        calls=calls,
        finish="tool_calls" if calls else "stop",
        raw_finish=words.get("finish"),
        breaks=_break(words),
        reasoning=(reasoning := _reasoning(ask, words)),
        uses=_uses(ask, wanted),
        advice=_pair(words.get("advise")) if ask.advisor else None,
        summary=_pair(words.get("compact")) if ask.compacts else None,
        tier=words.get("tier", ""),
        ponder=_seconds(words.get("ponder")) or reasoning / REASONING_SPEED,
        redacted="redact" in words,
        comments="comments" in words,
        slow=_seconds(words.get("slow")),
        delay=_seconds(words.get("delay")),
        usage=_numbers(words.get("usage", "")),
        has_usage="nousage" not in words,
    )
    if calls and not _speaks_first(wanted):
        turn = replace(turn, text="")
    if "refuse" in words:
        return replace(turn, text=REFUSAL, calls=(), finish="refusal")
    most = describe(ask.model).max_output
    turn = _limited(_stopped(turn, ask.stops), most if ask.limit is None else ask.limit)
    return replace(turn, finish="length", calls=()) if "length" in words else turn


def _last_scripted(history: tuple[Said, ...]) -> int | None:
    found = [n for n, said in enumerate(history) if said.user and _OPENING.search(said.text)]
    return found[-1] if found else None


def _fail(wanted: list[tuple[str, str]], prompt: str, attempts: Attempts) -> None:
    for name, argument in wanted:
        if name == "error":
            status, _, message = argument.partition(" ")
            raise _scripted(status, message.strip())
        if name == "errors":
            times, _, status = argument.partition(" ")
            if attempts.note(prompt) <= int(times):
                raise _scripted(status.strip(), "")


def _scripted(status: str, message: str) -> VendorError:
    number = int(status)
    return VendorError(message or _MESSAGES.get(number, "The server failed."), status=number)


def _speaks_first(wanted: list[tuple[str, str]]) -> bool:
    """Whether a [[say]] stands before the first [[tool]]: then it is said with the call."""
    names = [name for name, _ in wanted if name in ("say", "tool")]
    return names[:2] == ["say", "tool"]


def _text(ask: Ask, wanted: list[tuple[str, str]], results: list[str]) -> str:
    for name, argument in wanted:
        if name == "json":
            return argument
    if ask.schema is not None:
        return dumps(sample(ask.schema))
    said = [argument for name, argument in wanted if name == "say"]
    if said:
        last = results[-1][:200] if results else ""
        return "\n".join(said).replace("{result}", last)
    if ask.history and ask.history[-1].results:
        return f"The tool answered: {ask.history[-1].results[-1][:200]}"
    return _canned(ask)


def _canned(ask: Ask) -> str:
    asked = next((said.text for said in reversed(ask.history) if said.user and said.text), "")
    asked = " ".join(asked.split())
    quoted = f" You wrote: “{asked[:160]}{'…' if len(asked) > 160 else ''}”." if asked else ""
    return (
        f"Hello! This is the sandbox, standing in for {ask.model}.{quoted} "
        "With a vendor key in place, the real model would answer here."
    )


def _calls(ask: Ask, wanted: list[tuple[str, str]], results: list[str]) -> tuple[Call, ...]:
    if not ask.tools:
        return ()
    names = {name for name, _ in wanted}
    steps = [argument for name, argument in wanted if name == "tool"]
    if "parallel" in names and ask.parallel:
        todo = steps if not results else []
    else:
        todo = steps[len(results) : len(results) + 1]
    if todo:
        return tuple(_call(mapping(JSONDecoder().decode(step)), ask.tools) for step in todo)
    if ask.forced is None:
        return ()
    chosen = next((t for t in ask.tools if t.name in ask.forced), ask.tools[0])
    given = next((argument for name, argument in wanted if name == "json"), "")
    return (_forced(chosen, given),)


def _forced(tool: Tool, given: str) -> Call:
    args: Any = "sandbox" if tool.custom else sample(tool.schema or {"type": "object"})
    if given:
        args = given if tool.custom else JSONDecoder().decode(given)
    return Call(tool.name, args, tool.custom, tool.namespace)


def _call(step: Json, tools: tuple[Tool, ...]) -> Call:
    tool = _closest(str(step.get("name")), tools)
    if tool.custom:
        return Call(tool.name, str(step.get("input", "")), True, tool.namespace)
    return Call(tool.name, step.get("args", {}), False, tool.namespace)


def _closest(name: str, tools: tuple[Tool, ...]) -> Tool:
    """The tool meant, though a gateway may have had to rename it for us."""
    for tool in tools:
        if tool.name == name:
            return tool
    plain = _plain(name)
    for tool in tools:
        offered = _plain(tool.name)
        if offered.endswith(plain) or offered.startswith(plain[:40]):
            return tool
    return Tool(name)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _break(words: dict[str, str]) -> Break:
    if "midstream" in words:
        return "midstream"
    if "failed" in words:
        return "failed"
    return "cut" if "cut" in words else ""


def _seconds(argument: str | None) -> float:
    return float(argument) if argument else 0.0


def _reasoning(ask: Ask, words: dict[str, str]) -> int:
    wanted = int(words.get("reason", 0)) if ask.thinks else 0
    return wanted if ask.budget is None else min(wanted, ask.budget)


def _pair(argument: str | None) -> tuple[int, int] | None:
    if not argument:
        return None
    first, second = argument.split()
    return int(first), int(second)


def _uses(ask: Ask, wanted: list[tuple[str, str]]) -> dict[str, int]:
    """How often each tool of the vendor's is called: what is on offer, and as it is capped."""
    uses: dict[str, int] = {}
    for name, argument in wanted:
        tool, _, times = argument.partition(" ")
        if name == "use" and tool in ask.hosted:
            uses[tool] = min(uses.get(tool, 0) + int(times or 1), ask.hosted[tool])
    return {tool: times for tool, times in uses.items() if times}


def _numbers(argument: str) -> tuple[int | None, ...]:
    numbers = [int(number) for number in argument.split()]
    return (*numbers, *[None] * (6 - len(numbers))) if numbers else ()


def _stopped(turn: Turn, stops: tuple[str, ...]) -> Turn:
    hits = [(turn.text.find(stop), stop) for stop in stops if stop and stop in turn.text]
    if not hits:
        return turn
    at, stop = min(hits)
    return replace(turn, text=turn.text[:at], calls=(), finish="stop_sequence", stop=stop)


def _limited(turn: Turn, limit: int | None) -> Turn:
    """Reasoning is spent first, then text, then calls; what does not fit is not said."""
    if limit is None:
        return turn
    left = limit - turn.thought
    if left < 0:
        thinking, reasoning = _cut(turn.thinking, limit), limit if turn.reasoning else 0
        spent = replace(turn, thinking=thinking, reasoning=reasoning)
        return replace(spent, text="", calls=(), finish="length", stop=None)
    if count(turn.text) > left:
        text = _cut(turn.text, left)
        return replace(turn, text=text, calls=(), finish="length", stop=None)
    if count(turn.text) + sum(call.tokens for call in turn.calls) > left:
        return replace(turn, calls=(), finish="length", stop=None)
    return turn


def _cut(text: str, tokens: int) -> str:
    return text.encode()[: tokens * 4].decode(errors="ignore")


def asks_to_think(prompt: str) -> bool:
    """Whether a prompt asks a model to reason that would not by itself."""
    return "[[think" in prompt or "[[reason:" in prompt


def can_think(model: str, effort: object, scripted: bool) -> bool:
    """OpenAI: whether a model reasons for this effort, or because the prompt asks it to."""
    described = describe(model)
    if not described.reasons or effort == "none":
        return False
    return scripted or (effort or described.default_effort) != "none"
