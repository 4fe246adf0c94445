"""Searches and pages that were run on the way, in Anthropic's blocks, and back.

What a search found is encrypted by Anthropic and only its own to read. Ours is sealed, comes back
with the next turn, and is a call and its result again for every model but Claude on its own: to
Claude, which would refuse it, it is told as text.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.dialects.codecs import pages, wire
from gateway.dialects.codecs.hosted import FETCH
from gateway.dialects.ir import (
    Annotation,
    HostedCall,
    Item,
    Message,
    Opaque,
    Request,
    Text,
    ToolCall,
    ToolResult,
    WebPage,
)

_ID = "srvtoolu_"
_USE = "server_tool_use"
_FOUND, _READ = "web_search_tool_result", "web_fetch_tool_result"
_COUNTERS = ("web_search", "web_fetch")
_MOST_CITED = 150  # letters of a cited text, as Anthropic says


def use(call: HostedCall) -> dict[str, Any]:
    """The block of the call."""
    given = {"url" if call.tool == FETCH else "query": call.query}
    return {"type": _USE, "id": _ID + call.call_id, "name": call.tool, "input": given}


def result(call: HostedCall, key: bytes) -> dict[str, Any]:
    """The block of what came of it."""
    kind = _READ if call.tool == FETCH else _FOUND
    block = {"type": kind, "tool_use_id": _ID + call.call_id}
    if call.error:
        return block | {"content": {"type": f"{kind}_error", "error_code": call.error}}
    if call.tool == FETCH:
        return block | {"content": _document(call)}
    return block | {"content": [_result(page, key) for page in call.pages]}


def _document(call: HostedCall) -> dict[str, Any]:
    (page,) = call.pages
    source = {"type": "text", "media_type": "text/plain", "data": page.text}
    return {
        "type": "web_fetch_result",
        "url": page.url,
        "content": {"type": "document", "source": source, "title": page.title or None},
        "retrieved_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _result(page: WebPage, key: bytes) -> dict[str, Any]:
    return {
        "type": "web_search_result",
        "url": page.url,
        "title": page.title,
        "encrypted_content": pages.sealed(page, key),
        "page_age": page.age or None,
    }


def citation(note: Annotation, key: bytes) -> dict[str, Any]:
    """Of a text."""
    return {
        "type": "web_search_result_location",
        "url": note.url,
        "title": note.title,
        "encrypted_index": pages.sealed(WebPage(note.url), key),
        "cited_text": note.title[:_MOST_CITED],
    }


def uses(calls: Iterable[HostedCall]) -> dict[str, Any]:
    """The counters of the usage; nothing where nothing was run."""
    done = [call.tool for call in calls if not call.error]
    if not done:
        return {}
    return {"server_tool_use": {f"{tool}_requests": done.count(tool) for tool in _COUNTERS}}


# -- Back ----------------------------------------------------------------------------------------


def recalled(request: Request, key: bytes) -> Request:
    """The request, with what was run on the way in earlier turns as calls and results."""
    if not any(map(_has_results, request.items)):
        return request
    items = tuple(now for item in request.items for now in _item(item, key))
    return replace(request, items=items)


def _has_results(item: Item) -> bool:
    parts = item.parts if isinstance(item, Message) and item.role == "assistant" else ()
    return any(isinstance(part, Opaque) and _kind(part.json) in (_FOUND, _READ) for part in parts)


def _item(item: Item, key: bytes) -> Iterator[Item]:
    if not isinstance(item, Message) or not _has_results(item):
        yield item
        return
    results = {
        part.json.get("tool_use_id"): told
        for part in item.parts
        if isinstance(part, Opaque) and (told := _told(part.json, key)) is not None
    }
    said: list[Any] = []
    paired: set[Any] = set()  # a result is of one call: named by many it would be said as often
    for part in item.parts:
        json: Mapping[str, Any] = part.json if isinstance(part, Opaque) else {}
        if _kind(json) in (_FOUND, _READ) and json.get("tool_use_id") in results:
            continue
        if _kind(json) == _USE and json.get("id") in paired:
            continue
        if _kind(json) == _USE and json.get("id") in results:
            paired.add(json["id"])
            if said:
                yield Message("assistant", tuple(said))
            said = []
            yield from _pair(json, *results[json["id"]])
        else:
            said.append(part)
    if said:
        yield Message("assistant", tuple(said), item.phase, item.name)


def _pair(json: Mapping[str, Any], text: str, failed: bool) -> Iterator[Item]:
    call_id = str(json["id"])
    yield ToolCall(call_id, str(json.get("name")), wire.dump(json.get("input") or {}))
    yield ToolResult(call_id, (Text(text),), failed)


def _told(json: Mapping[str, Any], key: bytes) -> tuple[str, bool] | None:
    """What the model is told of a result, and whether it failed; None for what is not ours to
    read."""
    kind, content = _kind(json), json.get("content")
    if kind not in (_FOUND, _READ):
        return None
    if isinstance(content, Mapping) and "error_code" in content:
        return f"Error: {content['error_code']}", True
    if kind == _READ:
        page = _page(content)
        found = None if page is None else [page]
    else:
        found = _pages(content, key)
    if found is None:
        return None
    tool = FETCH if kind == _READ else "web_search"
    return pages.told(HostedCall("", tool, "", "", tuple(found))), False


def _page(content: Any) -> WebPage | None:
    """Of a page that was read, whoever did: nothing of it is encrypted."""
    document = _member(content, "content")
    source = _member(document, "source")
    text = _member(source, "data")
    if not isinstance(text, str) or _member(source, "type") != "text":
        return None
    return WebPage(str(_member(content, "url")), str(_member(document, "title") or ""), text)


def _pages(content: Any, key: bytes) -> list[WebPage] | None:
    found = []
    for each in content if isinstance(content, list) else ():
        secret = each.get("encrypted_content") if isinstance(each, Mapping) else None
        if (text := pages.opened(secret, key)) is None:
            return None
        title, age = str(each.get("title") or ""), str(each.get("page_age") or "")
        found.append(WebPage(str(each.get("url")), title, text, age))
    return found


def _kind(json: Mapping[str, Any]) -> str:
    return str(json.get("type"))


def for_claude(content: list[Any], key: bytes) -> list[Any]:
    """A turn's blocks as Claude takes them; the list itself where nothing in it is ours."""
    sealed = {
        block.get("tool_use_id")
        for block in content
        if isinstance(block, dict) and block.get("type") == _FOUND and _is_ours(block)
    }
    if not sealed and not any(map(_cites_ours, content)):
        return content
    return [now for block in content for now in _plain(block, sealed, key)]


def _is_ours(block: Mapping[str, Any]) -> bool:
    content = block.get("content")
    listed = content if isinstance(content, list) else []
    return any(pages.is_sealed(_member(each, "encrypted_content")) for each in listed)


def _cites_ours(block: Any) -> bool:
    notes = block.get("citations") if isinstance(block, dict) else None
    return isinstance(notes, list) and any(
        pages.is_sealed(_member(note, "encrypted_index")) for note in notes
    )


def _member(each: Any, name: str) -> Any:
    return each.get(name) if isinstance(each, Mapping) else None


def _plain(block: Any, sealed: set[Any], key: bytes) -> Iterator[Any]:
    if not isinstance(block, dict):
        yield block
    elif block.get("type") == _USE and block.get("id") in sealed:
        return
    elif block.get("type") == _FOUND and block.get("tool_use_id") in sealed:
        told = _told(block, key)
        yield {
            "type": "text",
            "text": f"(A search of the web found:)\n\n{told[0] if told else ''}",
        }
    elif _cites_ours(block):
        yield {name: value for name, value in block.items() if name != "citations"}
    else:
        yield block
