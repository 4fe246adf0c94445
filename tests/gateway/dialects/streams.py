"""Scripted answers of vendors, as the events of their streams: every kind of end, what is called,
and what is searched."""

from typing import Any


def chunk(delta: dict[str, Any], finish: Any = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    told = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return told | {"choices": [choice]} | fields


def block(*events: dict[str, Any], stop: str, ident: str = "msg_1") -> list[dict[str, Any]]:
    message = {"id": ident, "model": "claude", "usage": {"input_tokens": 9, "output_tokens": 1}}
    ended = {"delta": {"stop_reason": stop}, "usage": {"output_tokens": 5}}
    return [
        {"type": "message_start", "message": message},
        *events,
        {"type": "message_delta", **ended},
        {"type": "message_stop"},
    ]


def text(said: str) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": said}},
        {"type": "content_block_stop", "index": 0},
    ]


def response(status: str, *output: dict[str, Any], ident: str = "resp_1", **fields: Any) -> Any:
    usage = {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}
    told = {"id": ident, "object": "response", "status": status, "model": "gpt", "usage": usage}
    return told | {"output": list(output), "created_at": 1} | fields


def streamed(kind: str, whole: dict[str, Any]) -> list[dict[str, Any]]:
    opened = whole | {"status": "in_progress", "output": [], "usage": None}
    done = [
        {"type": "response.output_item.done", "output_index": n, "item": item}
        for n, item in enumerate(whole["output"])
    ]
    created = {"type": "response.created", "response": opened}
    return [created, *done, {"type": kind, "response": whole}]


CALL = {
    "index": 0,
    "id": "call_1",
    "type": "function",
    "function": {"name": "f", "arguments": "{}"},
}
USE = [
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": "{}"},
    },
    {"type": "content_block_stop", "index": 0},
]
USED = {"id": "c1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}
DONE = "data: [DONE]\n\n"
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "ok", "annotations": []}],
}
CALLED = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
SAID = chunk({"content": "ok"})

FOUND = {"type": "web_search_result", "url": "https://a.example/", "title": "A", "page_age": None}
CITED = {
    "type": "web_search_result_location",
    "url": "https://a.example/",
    "title": "A",
    "encrypted_index": "Eo8B",
    "cited_text": "ok",
}
SEARCHED = [
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {},
        },
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": '{"query": "a"}'},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [FOUND | {"encrypted_content": "EqgfCioIARgB"}],
        },
    },
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "text", "text": "", "citations": []},
    },
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "citations_delta", "citation": CITED},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "ok"}},
    {"type": "content_block_stop", "index": 2},
]
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "a"},
}
NOTE = {
    "type": "url_citation",
    "url": "https://a.example/",
    "title": "A",
    "start_index": 0,
    "end_index": 2,
}
CITING = MESSAGE | {"content": [{"type": "output_text", "text": "ok", "annotations": [NOTE]}]}

STREAMS: dict[str, tuple[str, list[Any]]] = {
    "chat unknown": ("openai_chat", [SAID, chunk({}, "melted"), USED, DONE]),
    "chat error": ("openai_chat", [SAID, chunk({}, "error"), DONE]),
    "chat unknown after a call": (
        "openai_chat",
        [chunk({"tool_calls": [CALL]}), chunk({}, "melted"), USED, DONE],
    ),
    "chat stop after a call": (
        "openai_chat",
        [chunk({"tool_calls": [CALL]}), chunk({}, "stop"), USED, DONE],
    ),
    "chat call and end at once": (
        "openai_chat",
        [chunk({"tool_calls": [CALL]}, "stop"), USED, DONE],
    ),
    "chat another's word": ("openai_chat", [SAID, chunk({}, "eos_token"), USED, DONE]),
    "chat without done": ("openai_chat", [SAID, chunk({}, "stop"), USED]),
    "chat without an end": ("openai_chat", [SAID, DONE]),
    "chat error in a choice": (
        "openai_chat",
        [SAID, chunk({}) | {"choices": [{"index": 0, "error": {"message": "x", "code": 502}}]}],
    ),
    "chat twice": (
        "openai_chat",
        [SAID, chunk({}, "stop"), chunk({"content": "SECOND"}, id="c2"), DONE],
    ),
    "messages searched": ("anthropic_messages", block(*SEARCHED, stop="end_turn")),
    "messages searched and called": (
        "anthropic_messages",
        block(
            *SEARCHED,
            *({**event, "index": 3} for event in USE),
            stop="tool_use",
        ),
    ),
    "messages paused in a search": (
        "anthropic_messages",
        block(*SEARCHED[:5], stop="pause_turn"),
    ),
    "responses searched": (
        "openai_responses",
        streamed("response.completed", response("completed", SEARCH, CITING)),
    ),
    "responses searched and called": (
        "openai_responses",
        streamed("response.completed", response("completed", SEARCH, CALLED)),
    ),
    "responses opened a page": (
        "openai_responses",
        streamed(
            "response.completed",
            response(
                "completed",
                SEARCH | {"action": {"type": "open_page", "url": "https://a.example/"}},
                CITING,
            ),
        ),
    ),
    "chat cited": (
        "openai_chat",
        [
            SAID,
            chunk({"annotations": [{"type": "url_citation", "url_citation": NOTE}]}),
            chunk({}, "stop"),
            USED,
            DONE,
        ],
    ),
    "messages unknown": ("anthropic_messages", block(*text("ok"), stop="melted")),
    "messages unknown after a call": ("anthropic_messages", block(*USE, stop="melted")),
    "messages end after a call": ("anthropic_messages", block(*USE, stop="end_turn")),
    "messages without stop": ("anthropic_messages", block(*text("ok"), stop="end_turn")[:-1]),
    "messages twice": (
        "anthropic_messages",
        [
            *block(*text("ok"), stop="end_turn")[:3],
            *block(*text("SECOND"), stop="end_turn", ident="msg_2"),
        ],
    ),
    "messages one after the other": (
        "anthropic_messages",
        [
            *block(*text("ok"), stop="end_turn"),
            *block(*text("SECOND"), stop="end_turn", ident="msg_2"),
        ],
    ),
    "responses unknown": (
        "openai_responses",
        streamed(
            "response.incomplete",
            response("incomplete", MESSAGE, incomplete_details={"reason": "melted"}),
        ),
    ),
    "responses unknown after a call": (
        "openai_responses",
        streamed(
            "response.incomplete",
            response("incomplete", CALLED, incomplete_details={"reason": "melted"}),
        ),
    ),
    "responses length": (
        "openai_responses",
        streamed(
            "response.incomplete",
            response("incomplete", MESSAGE, incomplete_details={"reason": "max_output_tokens"}),
        ),
    ),
    "responses failed": (
        "openai_responses",
        streamed("response.failed", response("failed", MESSAGE, error={"code": "server_error"})),
    ),
    "responses twice": (
        "openai_responses",
        [
            *streamed("response.completed", response("completed", MESSAGE))[:2],
            *streamed("response.completed", response("completed", MESSAGE, ident="resp_2")),
        ],
    ),
}
