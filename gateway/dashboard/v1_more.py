"""The other doors of /v1 in its OpenAPI document, one row each: how it is called, what it takes
and what it gives, and the page of its vendor."""

from typing import Any, NamedTuple

_JSON, _FORM, _EVENTS = "application/json", "multipart/form-data", "text/event-stream"
_GOOGLE = "https://ai.google.dev/api"
_TEXT: dict[str, Any] = {"type": "string"}
_FILE = {"type": "string", "format": "binary"}
_OBJECTS: dict[str, Any] = {"type": "array", "items": {"type": "object"}}
_MODEL = {"type": "string", "description": "A model's id, with a suffix or without."}


class Door(NamedTuple):
    """`takes` are the members of its body that it needs; `gives` the types of its answer."""

    path: str
    method: str
    name: str
    summary: str
    reference: str
    takes: dict[str, Any] = {}  # never changed
    gives: tuple[str, ...] = (_JSON,)
    sent_as: str = _JSON


_OPENAI = "https://platform.openai.com/docs/api-reference"
_ANTHROPIC = "https://docs.anthropic.com/en/api"
_MODELS = "/v1beta/models/{id}"
DOORS = (
    Door(f"{_MODELS}:generateContent", "post", "generate_content", "Google Gemini",
         f"{_GOOGLE}/generate-content", {"contents": _OBJECTS}),
    Door(f"{_MODELS}:streamGenerateContent", "post", "stream_generate_content",
         "Google Gemini, streamed; with alt=sse as server-sent events",
         f"{_GOOGLE}/generate-content", {"contents": _OBJECTS}, (_JSON, _EVENTS)),
    Door(f"{_MODELS}:countTokens", "post", "count_contents", "Count the tokens of contents; free",
         f"{_GOOGLE}/tokens", {"contents": _OBJECTS}),
    Door("/v1beta/models", "get", "gemini_models", "List models as Google does",
         f"{_GOOGLE}/models"),
    Door(f"{_MODELS}:embedContent", "post", "embed_content", "Embed a content",
         f"{_GOOGLE}/embeddings", {"content": {"type": "object"}}),
    Door(f"{_MODELS}:batchEmbedContents", "post", "batch_embed_contents", "Embed several contents",
         f"{_GOOGLE}/embeddings", {"requests": _OBJECTS}),
    Door("/v1/completions", "post", "completions", "OpenAI Completions (legacy)",
         f"{_OPENAI}/completions/create", {"model": _MODEL, "prompt": {}}, (_JSON, _EVENTS)),
    Door("/v1/embeddings", "post", "embeddings", "Embeddings", f"{_OPENAI}/embeddings/create",
         {"model": _MODEL, "input": {}}),
    Door("/v1/moderations", "post", "moderations", "Moderations; free",
         f"{_OPENAI}/moderations/create", {"input": {}}),
    Door("/v1/images/generations", "post", "images", "Pictures", f"{_OPENAI}/images/create",
         {"model": _MODEL, "prompt": _TEXT}),
    Door("/v1/audio/transcriptions", "post", "transcriptions", "Sound to text",
         f"{_OPENAI}/audio/createTranscription",
         {"model": _MODEL, "file": _FILE},
         (_JSON, "text/plain"), _FORM),
    Door("/v1/audio/speech", "post", "speech", "Text to sound", f"{_OPENAI}/audio/createSpeech",
         {"model": _MODEL, "input": _TEXT, "voice": _TEXT}, ("audio/mpeg", "audio/wav")),
    Door("/v1/files", "post", "upload_file", "Upload a file of requests",
         f"{_OPENAI}/files/create", {"file": _FILE, "purpose": {"enum": ["batch"]}},
         sent_as=_FORM),
    Door("/v1/files", "get", "files", "Your files", f"{_OPENAI}/files/list"),
    Door("/v1/files/{id}", "get", "file", "One file", f"{_OPENAI}/files/retrieve"),
    Door("/v1/files/{id}", "delete", "delete_file", "Delete a file", f"{_OPENAI}/files/delete"),
    Door("/v1/files/{id}/content", "get", "file_content", "What is in a file",
         f"{_OPENAI}/files/retrieve-contents", gives=("application/octet-stream",)),
    Door("/v1/batches", "post", "create_batch", "Run the requests of a file within a day",
         f"{_OPENAI}/batch/create", {"input_file_id": _TEXT, "endpoint": _TEXT,
                                     "completion_window": {"enum": ["24h"]}}),
    Door("/v1/batches", "get", "batches", "Your batches", f"{_OPENAI}/batch/list"),
    Door("/v1/batches/{id}", "get", "batch", "How far a batch is", f"{_OPENAI}/batch/retrieve"),
    Door("/v1/batches/{id}/cancel", "post", "cancel_batch", "Cancel a batch",
         f"{_OPENAI}/batch/cancel"),
    Door("/v1/messages/batches", "post", "create_message_batch", "Run requests within a day",
         f"{_ANTHROPIC}/creating-message-batches", {"requests": _OBJECTS}),
    Door("/v1/messages/batches", "get", "message_batches", "Your message batches",
         f"{_ANTHROPIC}/listing-message-batches"),
    Door("/v1/messages/batches/{id}", "get", "message_batch", "How far a message batch is",
         f"{_ANTHROPIC}/retrieving-message-batches"),
    Door("/v1/messages/batches/{id}", "delete", "delete_message_batch", "Delete a message batch",
         f"{_ANTHROPIC}/deleting-message-batches"),
    Door("/v1/messages/batches/{id}/cancel", "post", "cancel_message_batch",
         "Cancel a message batch", f"{_ANTHROPIC}/canceling-message-batches"),
    Door("/v1/messages/batches/{id}/results", "get", "message_batch_results",
         "The results of a message batch, a line a request",
         f"{_ANTHROPIC}/retrieving-message-batch-results", gives=("application/x-jsonl",)),
    Door(_MODELS, "get", "gemini_model", "One model as Google has it", f"{_GOOGLE}/models"),
)  # fmt: skip


def paths(answer: dict[str, Any], errors: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of the document; `answer` and `errors` as of every operation."""
    found: dict[str, dict[str, Any]] = {}
    for door in DOORS:
        found.setdefault(door.path, {})[door.method] = _operation(door, answer, errors)
    return found


def _operation(door: Door, answer: dict[str, Any], errors: dict[str, Any]) -> dict[str, Any]:
    shapes = {kind: {"schema": _TEXT if kind != _JSON else {}} for kind in door.gives}
    operation: dict[str, Any] = {
        "operationId": door.name,
        "summary": door.summary,
        "externalDocs": {"url": door.reference},
        "responses": {"200": {**answer, "content": shapes}, **errors},
    }
    names = [part.partition("}")[0] for part in door.path.split("{")[1:]]
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names
        ]
    if door.takes:
        body = {"type": "object", "properties": door.takes, "required": list(door.takes)}
        content = {door.sent_as: {"schema": body}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation
