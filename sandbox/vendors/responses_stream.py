"""The events of a Responses stream, in the order OpenAI sends them (protocols.md section 2.2)."""

import secrets
from collections.abc import Iterator

from sandbox.vendors import sse
from sandbox.vendors.conversation import Json
from sandbox.vendors.wire import Frame

_Step = tuple[str, Json]


def events(response: Json, finished: Json, *, obfuscated: bool) -> Iterator[Frame]:
    """The whole stream: numbered from 0 without gaps; deltas padded unless told not to."""
    for number, (kind, fields) in enumerate(_steps(response, finished)):
        delta = kind.endswith(".delta")
        if delta and obfuscated:
            fields["obfuscation"] = secrets.token_urlsafe(6)
        ends = kind == "response.output_item.done" and fields["item"]["type"] == "reasoning"
        thought = ends or kind.startswith("response.reasoning")
        yield event(kind, {**fields, "sequence_number": number}, content=delta, thought=thought)


def event(kind: str, fields: Json, *, content: bool = False, thought: bool = False) -> Frame:
    """One named event."""
    return sse.event({"type": kind, **fields}, kind, content=content, thought=thought)


def _steps(response: Json, finished: Json) -> Iterator[_Step]:
    yield "response.created", {"response": response}
    yield "response.in_progress", {"response": response}
    for index, item in enumerate(finished["output"]):
        at = {"output_index": index}
        yield "response.output_item.added", {**at, "item": _opened(item)}
        yield from _inside(item, {**at, "item_id": item["id"]})
        yield "response.output_item.done", {**at, "item": item}
    yield f"response.{finished['status']}", {"response": finished}


def _opened(item: Json) -> Json:
    """An item as it is announced: nothing said yet."""
    empty: Json = {"content": [], "summary": [], "arguments": "", "input": ""}
    opened = {key: empty.get(key, value) for key, value in item.items()}
    if "encrypted_content" in item:  # not yet the whole: only the one in output_item.done counts
        opened["encrypted_content"] = item["encrypted_content"][:40]
    return {**opened, "status": "in_progress"}


def _inside(item: Json, at: Json) -> Iterator[_Step]:
    match item["type"]:
        case "reasoning":
            for index, part in enumerate(item["summary"]):
                yield from _summary(part, {**at, "summary_index": index})
        case "message":
            for index, part in enumerate(item["content"]):
                yield from _part(part, {**at, "content_index": index})
        case "function_call":
            yield from _written("function_call_arguments", "arguments", item, at)
        case "custom_tool_call":
            yield from _written("custom_tool_call_input", "input", item, at)


def _summary(part: Json, at: Json) -> Iterator[_Step]:
    kind = "response.reasoning_summary"
    yield f"{kind}_part.added", {**at, "part": {**part, "text": ""}}
    for word in sse.words(part["text"]):
        yield f"{kind}_text.delta", {**at, "delta": word}
    yield f"{kind}_text.done", {**at, "text": part["text"]}
    yield f"{kind}_part.done", {**at, "part": part}


def _part(part: Json, at: Json) -> Iterator[_Step]:
    key = "refusal" if part["type"] == "refusal" else "text"
    kind = "response.refusal" if key == "refusal" else "response.output_text"
    extra: Json = {"logprobs": []} if key == "text" else {}
    yield "response.content_part.added", {**at, "part": {**part, key: ""}}
    for word in sse.words(part[key]):
        yield f"{kind}.delta", {**at, "delta": word, **extra}
    yield f"{kind}.done", {**at, key: part[key], **extra}
    yield "response.content_part.done", {**at, "part": part}


def _written(kind: str, key: str, item: Json, at: Json) -> Iterator[_Step]:
    for part in sse.pieces(item[key]):
        yield f"response.{kind}.delta", {**at, "delta": part}
    yield f"response.{kind}.done", {**at, key: item[key], "name": item["name"]}
