"""Amazon Bedrock's Converse, as Bedrock answers: what it refuses, and what it says."""

import base64
import binascii
import re
from collections.abc import Iterator

from sandbox.vendors import media, sse
from sandbox.vendors.conversation import Ask, Json, Said, Sent, Tool, mapping, objects, strings
from sandbox.vendors.dialect import fresh, metered, scripted
from sandbox.vendors.meter import Line, Work
from sandbox.vendors.script import Turn, asks_to_think
from sandbox.vendors.usage import CacheUse, Piece, PromptCache, Tokens, dumps, piece
from sandbox.vendors.vendors import Vendor, VendorError, describe
from sandbox.vendors.wire import Frame

VENDOR: Vendor = "amazon"

_FIELDS = frozenset(
    (
        *("messages", "system", "inferenceConfig", "toolConfig", "requestMetadata"),
        *("additionalModelRequestFields", "guardrailConfig", "performanceConfig"),
    )
)
_CONFIG: dict[str, tuple[type, ...]] = {
    "maxTokens": (int,),
    "temperature": (int, float),
    "topP": (int, float),
}
_BLOCKS = frozenset(("text", "image", "document", "toolUse", "toolResult", "reasoningContent"))
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_DOCUMENT = re.compile(r"[a-zA-Z0-9 \-()\[\]]+")
_STOPS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "refusal": "content_filtered",
}


# -- What it refuses -----------------------------------------------------------------------------


def check(sent: Sent) -> None:
    """Raises VendorError, in Bedrock's words."""
    body = {k: v for k, v in sent.body.items() if k not in ("model", "stream")}
    if unknown := set(body) - _FIELDS:
        raise VendorError(
            f"Malformed input request: extraneous key [{min(unknown)}] not permitted"
        )
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise VendorError("The value at messages is empty. Add messages, and try your request.")
    _config(mapping(body.get("inferenceConfig")), sent.model)
    declared = _declared(mapping(body.get("toolConfig")))
    _turns(objects(messages))
    for message in objects(messages):
        _message(message, declared)


def fits(sent: Sent, used: int) -> None:
    if used > describe(sent.model).window:
        raise VendorError("Input is too long for requested model.")


def _config(config: Json, model: str) -> None:
    for name, value in config.items():
        if name == "stopSequences":
            sound = isinstance(value, list) and 0 < len(value) <= 4 and all(strings(value))
        else:
            sound = name in _CONFIG and isinstance(value, _CONFIG[name])
        if not sound:
            raise VendorError(f"Malformed input request: {name}")
    limit = config.get("maxTokens", 1)
    if not 0 < limit <= describe(model).max_output:
        raise VendorError(f"The maximum tokens you requested exceeds the model limit: {limit}")
    if not 0 <= config.get("temperature", 0) <= 1:
        raise VendorError("Value at 'inferenceConfig.temperature' must be at most 1")


def _declared(config: Json) -> set[str]:
    if not config:
        return set()
    specs = [mapping(tool.get("toolSpec")) for tool in objects(config.get("tools"))]
    if not specs:
        raise VendorError("The value at toolConfig.tools must have at least 1 member.")
    for spec in specs:
        if not _NAME.fullmatch(str(spec.get("name"))):
            raise VendorError("Value at 'toolConfig.tools.toolSpec.name' is not a name")
        if not isinstance(mapping(spec.get("inputSchema")).get("json"), dict):
            raise VendorError("toolSpec.inputSchema.json is required")
        if spec.get("description") == "":
            raise VendorError("toolSpec.description must have at least 1 letter")
    choice = config.get("toolChoice")
    if choice is not None and (not isinstance(choice, dict) or len(choice) != 1):
        raise VendorError("Value at 'toolConfig.toolChoice' must have exactly one member.")
    return {str(spec["name"]) for spec in specs}


def _turns(messages: list[Json]) -> None:
    if messages[0].get("role") != "user":
        raise VendorError(
            "A conversation must start with a user message. Try again with a conversation that "
            "starts with a user message."
        )
    for before, after in zip(messages, messages[1:], strict=False):
        if before.get("role") == after.get("role"):
            raise VendorError("messages: roles must alternate between user and assistant")
        called = {_used(b).get("toolUseId") for b in objects(before.get("content")) if _used(b)}
        answered = {_given(b).get("toolUseId") for b in objects(after.get("content")) if _given(b)}
        if called != answered:
            raise VendorError(
                "Expected toolResult blocks for the toolUse blocks of the turn before"
            )


def _message(message: Json, declared: set[str]) -> None:
    blocks = objects(message.get("content"))
    if not blocks:
        raise VendorError("The content field in the Message object is empty.")
    for block in blocks:
        if len(block) != 1 or not _BLOCKS.issuperset(block):
            raise VendorError("Value at 'messages.content' must have exactly one member.")
        if "text" in block and not str(block["text"]).strip():
            raise VendorError("The text field in the ContentBlock object is blank.")
        if (_used(block) or _given(block)) and not declared:
            raise VendorError(
                "The toolConfig field must be defined when using toolUse and toolResult content "
                "blocks."
            )
        if _used(block) and not isinstance(_used(block).get("input"), dict):
            raise VendorError("toolUse.input must be an object")
        _media(block)
    kinds = {kind for block in blocks for kind in block}
    if "document" in kinds and "text" not in kinds:
        raise VendorError("A text block must be included when using documents.")


def _media(block: Json) -> None:
    for kind in ("image", "document"):
        if not (shown := mapping(block.get(kind))):
            continue
        data = mapping(shown.get("source")).get("bytes")
        try:
            base64.b64decode(data if isinstance(data, str) else "-", validate=True)
        except (binascii.Error, ValueError):
            raise VendorError(f"{kind}.source.bytes is not base64") from None
        if kind == "document" and not _DOCUMENT.fullmatch(str(shown.get("name"))):
            raise VendorError("document.name may hold letters, digits, spaces and -()[] only")
        if kind == "image" and shown.get("format") not in ("png", "jpeg", "gif", "webp"):
            raise VendorError("image.format is not supported")


def _used(block: Json) -> Json:
    return mapping(block.get("toolUse"))


def _given(block: Json) -> Json:
    return mapping(block.get("toolResult"))


# -- What is asked -------------------------------------------------------------------------------


def read(sent: Sent) -> Ask:
    body, config = sent.body, mapping(sent.body.get("inferenceConfig"))
    choice = mapping(mapping(body.get("toolConfig")).get("toolChoice"))
    forced: tuple[str, ...] | None = () if "any" in choice else None
    if "tool" in choice:
        forced = strings(mapping(choice["tool"]).get("name"))
    history = tuple(_said(message) for message in objects(body.get("messages")))
    wanted = next((s.text for s in reversed(history) if s.user and s.text), "")
    return Ask(
        model=sent.model,
        history=history,
        prompt=tuple(_prompt(body)),
        tools=tuple(_tools(body)),
        forced=forced,
        limit=config.get("maxTokens"),
        stops=strings(config.get("stopSequences")),
        thinks=asks_to_think(wanted) and "deepseek" in sent.model,
        shows=True,
        stream=body.get("stream") is True,
        scope=sent.model,
    )


def _said(message: Json) -> Said:
    blocks = objects(message.get("content"))
    return Said(
        user=message.get("role") == "user",
        text=_texts(blocks),
        results=tuple(_texts(objects(_given(b).get("content"))) for b in blocks if _given(b)),
    )


def _texts(blocks: list[Json]) -> str:
    return "\n".join(block["text"] for block in blocks if isinstance(block.get("text"), str))


def _tools(body: Json) -> Iterator[Tool]:
    for tool in objects(mapping(body.get("toolConfig")).get("tools")):
        spec = mapping(tool.get("toolSpec"))
        yield Tool(str(spec.get("name")), mapping(mapping(spec.get("inputSchema")).get("json")))


def _prompt(body: Json) -> Iterator[Piece]:
    for tool in objects(mapping(body.get("toolConfig")).get("tools")):
        yield piece(dumps(tool))
    for block in objects(body.get("system")):
        yield piece(str(block.get("text")))
    for message in objects(body.get("messages")):
        for block in objects(message.get("content")):
            if "text" in block:
                yield piece(str(block["text"]))
            elif shown := mapping(block.get("image") or block.get("document")):
                data = mapping(shown.get("source")).get("bytes")
                yield media.document("anthropic", shown, data, None)
            else:
                yield piece(dumps(block))


# -- What it says --------------------------------------------------------------------------------


def cached(cache: PromptCache, ask: Ask) -> CacheUse:
    return CacheUse()


def tokens(ask: Ask, turn: Turn, use: CacheUse) -> Tokens:
    return scripted(turn, metered(ask, turn, use), nested=False, reasoning_inside=True)


def work(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Work:
    """Reasoning is not told apart: it is billed as output."""
    counted = Tokens(
        input=tokens.input,
        read=tokens.read,
        write_5m=tokens.write_5m,
        output=tokens.output + tokens.reasoning,
    )
    return Work(
        vendor=VENDOR,
        model=ask.model,
        lines=(Line("message", ask.model, counted),),
        finish=turn.raw_finish or turn.finish,
        broken=bool(turn.breaks),
        scripted=bool(turn.usage),
    )


def usage(tokens: Tokens) -> Json:
    output = tokens.output + tokens.reasoning
    return {
        "inputTokens": tokens.input,
        "outputTokens": output,
        "totalTokens": tokens.prompt + output,
        "cacheReadInputTokens": tokens.read,
        "cacheWriteInputTokens": tokens.written,
    }


def _stop(turn: Turn) -> str:
    return turn.raw_finish or _STOPS[turn.finish]


def _calls(turn: Turn) -> list[Json]:
    return [
        {"toolUseId": fresh("tooluse_", 22), "name": call.name, "input": call.args}
        for call in turn.calls
    ]


def whole(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Json:
    content: list[Json] = []
    if turn.thinking:
        content.append({"reasoningContent": {"reasoningText": {"text": turn.thinking}}})
    if turn.text or not turn.calls:
        content.append({"text": turn.text})
    content += [{"toolUse": call} for call in _calls(turn)]
    message = {"role": "assistant", "content": content}
    reply: Json = {"output": {"message": message}, "stopReason": _stop(turn)}
    reply["metrics"] = {"latencyMs": 12}
    return reply | ({"usage": usage(tokens)} if turn.has_usage else {})


def events(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Iterator[Frame]:
    yield _event("messageStart", {"role": "assistant"})
    index = 0
    if turn.thinking:
        for word in sse.words(turn.thinking):
            yield _delta(index, {"reasoningContent": {"text": word}}, thought=True)
        yield _event("contentBlockStop", {"contentBlockIndex": index})
        index += 1
    if turn.text or not turn.calls:
        for word in sse.words(turn.text):
            yield _delta(index, {"text": word})
        yield _event("contentBlockStop", {"contentBlockIndex": index})
        index += 1
    for call in _calls(turn):
        used = {"toolUseId": call["toolUseId"], "name": call["name"]}
        yield _event("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": used}})
        for part in sse.pieces(dumps(call["input"])):
            yield _delta(index, {"toolUse": {"input": part}})
        yield _event("contentBlockStop", {"contentBlockIndex": index})
        index += 1
    yield _event("messageStop", {"stopReason": _stop(turn)})
    told: Json = {"metrics": {"latencyMs": 12}}
    yield _event("metadata", told | ({"usage": usage(tokens)} if turn.has_usage else {}))


def broken(sent: Sent, turn: Turn, frames: list[Frame]) -> Frame:
    return _event("error", {})


def _delta(index: int, delta: Json, *, thought: bool = False) -> Frame:
    told = {"contentBlockIndex": index, "delta": delta, "p": "abcdefghij"}
    return sse.event(told, "contentBlockDelta", content=True, thought=thought)


def _event(name: str, told: Json) -> Frame:
    return sse.event(told, name)
