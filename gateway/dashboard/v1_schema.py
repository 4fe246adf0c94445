"""/v1 as an OpenAPI document, for tools that make clients or call an API they have never seen.

It says which endpoints there are, how they are paid for, what they need at least, and what every
answer carries. Bodies beyond that are the vendors' own: each operation links to their reference.
"""

from typing import Any

from gateway.usage import summary

_JSON = "application/json"
_VENDORS = {
    "chat": "https://platform.openai.com/docs/api-reference/chat/create",
    "responses": "https://platform.openai.com/docs/api-reference/responses/create",
    "messages": "https://docs.anthropic.com/en/api/messages",
    "count_tokens": "https://docs.anthropic.com/en/api/messages-count-tokens",
}
_MODEL = {"type": "string", "description": "A model's id, with a suffix or without."}
_STREAM = {"type": "boolean", "default": False, "description": "Answer by server-sent events."}
_DAY = {"format": "date", "description": "A UTC day; both ends are included."}
_GROUPS = list(summary.GROUPS)
_TOKENS = {"type": "integer", "minimum": 1}
_TURNS = {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Message"}}


def document(base_url: str) -> dict[str, Any]:
    """The document for a deployment at this address."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hontoni /v1",
            "version": "1",
            "description": "Claude, GPT and Gemini behind one base URL, in three dialects.",
        },
        "servers": [{"url": base_url}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": {**_paid(base_url), **_kept(), **_free()},
        "components": _components(base_url),
    }


def _paid(base_url: str) -> dict[str, Any]:
    chat = {"model": _MODEL, "messages": _TURNS, "stream": _STREAM, "max_tokens": _TOKENS}
    responses = {
        "model": _MODEL,
        "input": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
        "stream": _STREAM,
        "max_output_tokens": _TOKENS,
    }
    return {
        "/v1/chat/completions": _post(
            base_url, "chat", "OpenAI Chat Completions", chat, "model", "messages"
        ),
        "/v1/responses": _post(
            base_url, "responses", "OpenAI Responses", responses, "model", "input"
        ),
        "/v1/messages": _post(
            base_url, "messages", "Anthropic Messages", chat, "model", "messages", "max_tokens"
        ),
        "/v1/messages/count_tokens": _post(
            base_url,
            "count_tokens",
            "Count the tokens of a prompt; free",
            chat,
            "model",
            "messages",
        ),
    }


def _post(
    base_url: str, name: str, summary: str, members: dict[str, Any], *required: str
) -> dict[str, Any]:
    body = {"type": "object", "properties": members, "required": list(required)}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "externalDocs": {"url": _VENDORS[name]},
            "requestBody": {"required": True, "content": {_JSON: {"schema": body}}},
            "responses": {"200": _answer(stream=name != "count_tokens"), **_errors()},
        }
    }


def _kept() -> dict[str, Any]:
    """Answers of /v1/responses that are kept for a while; free."""
    named = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}

    def door(name: str, summary: str) -> dict[str, Any]:
        about = {"operationId": name, "summary": summary, "parameters": [named]}
        return {**about, "responses": {"200": _answer(), **_errors()}}

    return {
        "/v1/responses/{id}": {
            "get": door("response", "A response that is kept"),
            "delete": door("delete_response", "Forget a response"),
        },
        "/v1/responses/{id}/input_items": {
            "get": door("response_input_items", "What a response was made from"),
        },
        "/v1/responses/{id}/cancel": {
            "post": door("cancel_response", "Stop a response that runs in the background"),
        },
    }


def _free() -> dict[str, Any]:
    body = {"type": "object", "properties": {"model": _MODEL}, "required": ["model"]}
    dialects = {"enum": ["openai_chat", "openai_responses", "anthropic_messages"]}
    dialect = {"name": "dialect", "in": "query", "schema": {"type": "string", **dialects}}
    name = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "/v1/estimate": {
            "post": {
                "operationId": "estimate",
                "summary": "What a request would cost at least and at most, and whether it would "
                "be admitted now; free",
                "parameters": [dialect],
                "requestBody": {"required": True, "content": {_JSON: {"schema": body}}},
                "responses": {"200": _answer(), **_errors()},
            }
        },
        "/v1/key": {
            "get": {
                "operationId": "key",
                "summary": "Where this key stands: balance, windows, caps, models, scopes; free",
                "responses": {"200": _answer(), **_errors()},
            }
        },
        "/v1/usage": {
            "get": {
                "operationId": "usage",
                "summary": "What the account used; takes the scope usage:read",
                "parameters": [
                    *(
                        {"name": each, "in": "query", "schema": {"type": "string", **_DAY}}
                        for each in ("from", "to")
                    ),
                    {"name": "group_by", "in": "query", "schema": {"enum": _GROUPS}},
                ],
                "responses": {"200": _answer(), **_errors()},
            }
        },
        "/v1/models": {
            "get": {
                "operationId": "models",
                "summary": "List models",
                "responses": {"200": _answer(), **_errors()},
            }
        },
        "/v1/models/{id}": {
            "get": {
                "operationId": "model",
                "summary": "One model",
                "parameters": [name],
                "responses": {"200": _answer(), **_errors()},
            }
        },
    }


def _answer(*, stream: bool = False) -> dict[str, Any]:
    shapes: dict[str, Any] = {_JSON: {"schema": {"type": "object"}}}
    if stream:
        shapes["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "description": "As the vendor's reference has it.",
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
        "content": shapes,
    }


def _errors() -> dict[str, Any]:
    answer = {
        "description": "An error; `doc_url` is the page of its code.",
        "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    return {"4XX": answer, "5XX": answer}


def _components(base_url: str) -> dict[str, Any]:
    text = {"type": "string"}
    error = {
        "type": {"type": "string"},
        "message": text,
        "code": text,
        "param": {"type": ["string", "null"]},
        "doc_url": {"type": "string", "format": "uri"},
        "details": {"type": "object"},
    }
    return {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        },
        "headers": {
            "RequestId": {
                "description": f"Its receipt is at {base_url}/usage/ and this id.",
                "schema": text,
            }
        },
        "schemas": {
            "Message": {
                "type": "object",
                "properties": {
                    "role": text,
                    "content": {
                        "oneOf": [text, {"type": "array", "items": {"type": "object"}}],
                    },
                },
                "required": ["role", "content"],
            },
            "Error": {
                "type": "object",
                "properties": {
                    "type": {"const": "error"},
                    "error": {
                        "type": "object",
                        "properties": error,
                        "required": ["type", "message", "code"],
                    },
                    "request_id": text,
                },
                "required": ["error"],
            },
        },
    }
