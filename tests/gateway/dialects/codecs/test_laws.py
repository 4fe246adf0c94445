"""The three laws of every codec.

1. Round trip: what a dialect can say, said and read again, is the same.
2. Fold: a recorded stream folds to its recorded unary twin.
3. Cut anywhere: the same events, wherever the chunks end.
"""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import codecs
from gateway.dialects.codecs import wire
from gateway.dialects.codecs.fold import fold, replay
from gateway.dialects.ir import (
    Document,
    Event,
    Finish,
    Image,
    Message,
    OutputFormat,
    Reasoning,
    Refusal,
    Reply,
    Request,
    Sampling,
    Start,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from tests.gateway.dialects.codecs import world

IN_URLS = {"model", "stream"}
TARGETS = {
    "openai_chat": world.target("gpt-4o"),
    "openai_responses": world.target("gpt-5.2"),
    "anthropic_messages": world.target("claude-sonnet-4-5"),
    "gemini": world.target("gemini-3.1-pro-preview"),
    "converse": world.target("amazon.nova-pro-v1:0"),
}
RECORDED = sorted(path.relative_to(world.RECORDINGS) for path in world.RECORDINGS.glob("*/*.sse"))
CLIENTS = [name for name in codecs.UPSTREAMS if name in codecs.CLIENTS]


def recorded(path: Any) -> tuple[str, bytes, Any]:
    sse = world.RECORDINGS / path
    return path.parent.name, sse.read_bytes(), orjson.loads(sse.with_suffix(".json").read_bytes())


def decode(dialect: str, *chunks: bytes) -> list[Event]:
    """The codec's own Decoder, without any filter."""
    splitter = codecs.reader(world.ask("openai_chat"), TARGETS[dialect], "0a1b")
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    return events + splitter.close()


def same_args(reply: Reply) -> Reply:
    """Arguments as values: a unary body holds an object where the stream spelled it out."""
    items = (
        replace(i, args=wire.dump(wire.arguments(i.args)))
        if isinstance(i, ToolCall) and i.kind == "function"
        else i
        for i in reply.items
    )
    return replace(reply, items=tuple(items))


# -- fold


@pytest.mark.parametrize("path", RECORDED, ids=str)
def test_a_recorded_stream_folds_to_its_unary_twin(path: Any) -> None:
    dialect, stream, body = recorded(path)
    minted = codecs.minting("0a1b")
    whole = fold(codecs.UPSTREAMS[dialect].decode_reply(body, TARGETS[dialect], minted))
    assert same_args(fold(decode(dialect, stream))) == same_args(whole)
    assert isinstance(whole.end, Finish)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("path", RECORDED, ids=str)
def test_every_client_gets_the_same_reply_streamed_and_unary(path: Any, client: str) -> None:
    dialect, stream, _ = recorded(path)
    request = world.ask(client, {"stream_options": {"include_usage": True}})
    events = world.read(request, TARGETS[dialect], stream)
    own = codecs.UPSTREAMS[client]
    body = world.unary(request, fold(events))
    streamed = fold(decode(client, world.send(request, events)))
    whole = fold(own.decode_reply(body, TARGETS[client], codecs.minting("0a1b")))
    if client == "openai_chat":  # which has no order between what was thought and said
        streamed, whole = thought_first(streamed), thought_first(whole)
    assert same_args(streamed) == same_args(whole)


def thought_first(reply: Reply) -> Reply:
    items = sorted(reply.items, key=lambda item: not isinstance(item, Reasoning))
    return replace(reply, items=tuple(items))


# -- cut anywhere


@pytest.mark.parametrize("path", RECORDED, ids=str)
def test_it_does_not_care_where_a_recording_is_cut(path: Any) -> None:
    dialect, stream, _ = recorded(path)
    whole = decode(dialect, stream)
    step = max(len(stream) // 40, 1)
    for cut in range(0, len(stream), step):
        assert decode(dialect, stream[:cut], stream[cut:]) == whole
    assert decode(dialect, *(stream[i : i + 1] for i in range(len(stream)))) == whole


# -- round trip

ids = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,20}", fullmatch=True)
words = st.text(min_size=1, max_size=12).map(lambda text: f"x{text}x")
objects = st.dictionaries(names, st.integers(-(2**53), 2**53) | words | st.booleans(), max_size=3)
args = objects.map(lambda value: orjson.dumps(value).decode())
PNG = "iVBORw0KGgoAAAANSUhEUg=="
PDF = "JVBERi0xLjQKJcfsj6I="
images = st.sampled_from(
    [Image(data=PNG, media_type="image/png"), Image(url="https://example.com/a.png")]
)
DOCUMENT = Document(data=PDF, media_type="application/pdf", title="a.pdf")
texts = st.builds(Text, words)


def users(dialect: str) -> st.SearchStrategy[Message]:
    detailed = {"openai_responses": images.map(lambda image: replace(image, detail="auto"))}
    document = replace(DOCUMENT, title="") if dialect == "gemini" else DOCUMENT
    part = texts | detailed.get(dialect, images) | st.just(document)
    return st.builds(Message, st.just("user"), st.lists(part, min_size=1, max_size=3).map(tuple))


@st.composite
def steps(draw: st.DrawFn, dialect: str) -> list[Any]:
    """Calls of one turn, then their results in any order; Gemini's in that of the calls."""
    called = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    calls = [ToolCall(each, draw(names), draw(args)) for each in called]
    order = called if dialect == "gemini" else draw(st.permutations(called))
    results = [ToolResult(each, (Text(draw(words)),)) for each in order]
    return [*calls, *results]


@st.composite
def conversations(draw: st.DrawFn, dialect: str) -> tuple[Any, ...]:
    items: list[Any] = []
    if draw(st.booleans()):
        items.append(Message("system", tuple(draw(st.lists(texts, min_size=1, max_size=2)))))
    for _ in range(draw(st.integers(1, 3))):
        items.append(draw(users(dialect)))
        if draw(st.booleans()):
            items.append(Message("assistant", (draw(texts),)))
        if draw(st.booleans()):
            items += draw(steps(dialect))
    return (*items, Message("user", (Text("go on"),)))


schemas = st.fixed_dictionaries(
    {"properties": st.dictionaries(names, st.just({"type": "string"}), max_size=2)}
).map(lambda schema: schema | {"type": "object"})


@st.composite
def requests(draw: st.DrawFn, dialect: str) -> Request:
    offered = st.lists(st.builds(Tool, names, words, schemas), max_size=3, unique_by=_name)
    tools = draw(offered)
    if dialect == "openai_responses":
        tools = [replace(tool, strict=False) for tool in tools]
    forced = draw(st.booleans())
    modes = [ToolChoice(), ToolChoice("auto"), ToolChoice("required"), ToolChoice("none")]
    choice = draw(st.sampled_from(modes)) if tools else ToolChoice()
    if tools and forced:
        choice = ToolChoice("required", (("", tools[0].name),))
    free = dialect == "openai_chat"
    return Request(
        dialect=dialect,
        model=TARGETS[dialect].model,
        items=draw(conversations(dialect)),
        tools=tuple(tools),
        tool_choice=choice,
        output=draw(st.sampled_from([OutputFormat(), *_formats(dialect)])),
        thinking=Thinking("effort", "high") if dialect == "openai_responses" else Thinking(),
        sampling=Sampling(temperature=0.5, stop=("END",) if free else ())
        if dialect != "openai_responses"
        else Sampling(),
        max_output_tokens=draw(st.integers(16, 4096)),
        stream=True,
        include_usage=dialect != "openai_responses",
        cache_key="k" if dialect.startswith("openai") else "",
    )


def _name(tool: Tool) -> str:
    return tool.name


def _formats(dialect: str) -> list[OutputFormat]:
    schema = {
        "additionalProperties": False,
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "type": "object",
    }
    if dialect == "anthropic_messages":
        return [OutputFormat("json_schema", "", schema)]
    if dialect == "gemini":
        return [OutputFormat("json_object"), OutputFormat("json_schema", "", schema)]
    return [OutputFormat("json_object"), OutputFormat("json_schema", "answer", schema, True)]


@pytest.mark.parametrize("dialect", CLIENTS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_request_said_and_read_again_is_the_same(dialect: str, data: st.DataObject) -> None:
    request = data.draw(requests(dialect))
    read, encode = codecs.decode_request, codecs.UPSTREAMS[dialect].encode_request
    body = encode(request, TARGETS[dialect])
    if dialect == "gemini":  # whose URL has these
        body |= {"model": request.model, "stream": True}
    assert read(dialect, orjson.loads(orjson.dumps(body))) == request
    again = encode(read(dialect, body), TARGETS[dialect])
    assert again == {name: body[name] for name in again} and again.keys() | IN_URLS >= body.keys()


@st.composite
def replies(draw: st.DrawFn, dialect: str) -> Reply:
    items: list[Any] = []
    if draw(st.booleans()):
        items.append(Reasoning((draw(words),)))
    if draw(st.booleans()):
        refuses = dialect.startswith("openai") and draw(st.booleans())
        part: Any = Refusal if refuses else Text
        items.append(Message("assistant", (part(draw(words)),)))
    called = draw(st.lists(ids, max_size=3, unique=True))
    items += [ToolCall(each, draw(names), draw(args)) for each in called]
    refused = any(isinstance(i, Message) and isinstance(i.parts[0], Refusal) for i in items)
    reason = "tool_calls" if called else "content_filter" if refused else "stop"
    counts = draw(st.tuples(*[st.integers(0, 10_000)] * 5))
    written = 0 if dialect == "gemini" else counts[2]
    usage = Usage(counts[0], counts[1], written, 0, counts[3], counts[4])
    return Reply(Start(), tuple(items), usage, Finish(reason))


@pytest.mark.parametrize("dialect", CLIENTS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_reply_said_and_read_again_is_the_same(dialect: str, data: st.DataObject) -> None:
    reply = data.draw(replies(dialect))
    request = world.ask(dialect, {"stream_options": {"include_usage": True}})
    streamed = fold(decode(dialect, world.send(request, replay(reply))))
    whole = codecs.UPSTREAMS[dialect].decode_reply(
        world.unary(request, reply), TARGETS[dialect], codecs.minting("0a1b")
    )
    for back in (streamed, fold(whole)):
        assert without_secrets(back).items == reply.items
        assert back.usage == reply.usage
        assert isinstance(back.end, Finish) and isinstance(reply.end, Finish)
        assert back.end.reason == reply.end.reason


def without_secrets(reply: Reply) -> Reply:
    items = (replace(i, carriers=()) if isinstance(i, Reasoning) else i for i in reply.items)
    return same_args(replace(reply, items=tuple(items)))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_reply_replayed_folds_to_itself(data: st.DataObject) -> None:
    reply = data.draw(replies("openai_responses"))
    assert fold(replay(reply)) == reply
