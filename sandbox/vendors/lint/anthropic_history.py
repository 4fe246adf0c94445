"""What Anthropic refuses in the messages of a request."""

import re
from collections.abc import Iterator

from sandbox.vendors.conversation import Json, Sent, mapping, objects
from sandbox.vendors.lint.shapes import media_type, names
from sandbox.vendors.seal import is_sealed, seals
from sandbox.vendors.vendors import VendorError, describe

_BLOCKS = names(
    "text image document tool_use tool_result thinking redacted_thinking search_result "
    "server_tool_use web_search_tool_result web_fetch_tool_result container_upload compaction "
    "tool_reference tool_addition tool_removal"
)
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_OPENINGS = ("thinking", "redacted_thinking")


def check(sent: Sent) -> None:
    """Apply every rule."""
    for rule in RULES:
        rule(sent)


def messages(sent: Sent) -> list[Json]:
    return objects(sent.body.get("messages"))


def blocks(message: Json) -> list[Json]:
    """The blocks of a message; a string is one text block."""
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else objects(content)


def every_block(sent: Sent) -> Iterator[tuple[str, Json, Json]]:
    """(where, message, block) of the whole history."""
    for n, message in enumerate(messages(sent)):
        for m, block in enumerate(blocks(message)):
            yield f"messages.{n}.content.{m}", message, block


def there_is_a_message(sent: Sent) -> None:
    """At least one message, each an object with `role` and `content` and no more (1.3)."""
    if not sent.body["messages"]:
        raise VendorError("messages: at least one message is required")
    for n, message in enumerate(sent.body["messages"]):
        if not isinstance(message, dict):
            raise VendorError(f"messages.{n}: Input should be a valid dictionary")
        if not isinstance(message.get("content"), str | list):
            raise VendorError(f"messages.{n}.content: Input should be a valid list")
        known = {"role", "content"}
        if message.get("role") == "system":  # newer models: section 7
            known |= {"output_config", "clear_at"}
        if extra := sorted(set(message) - known):
            raise VendorError(f"messages.{n}.{extra[0]}: Extra inputs are not permitted")


def roles_are_in_place(sent: Sent) -> None:
    """The first message is the user's; `system` inside the history is for newer models (1.8)."""
    for n, message in enumerate(messages(sent)):
        role = message.get("role")
        if role == "system" and not describe(sent.model).system_messages:
            raise VendorError(f"messages.{n}: role 'system' is not supported on this model")
        if role not in ("user", "assistant", "system"):
            raise VendorError(f"messages.{n}.role: Input should be 'user' or 'assistant'")
        if n == 0 and role != "user":
            raise VendorError('messages: first message must use the "user" role')


def something_is_said(sent: Sent) -> None:
    """No message is empty but a final assistant one, and no text block is (1.3, user text)."""
    said = messages(sent)
    for n, message in enumerate(said):
        last = n == len(said) - 1 and message.get("role") == "assistant"
        if message["content"] in ("", []) and not last:
            raise VendorError(
                f"messages.{n}: all messages must have non-empty content except for the optional "
                "final assistant message"
            )
        for block in objects(message["content"]):
            if block.get("type") != "text":
                continue
            if not block.get("text"):
                raise VendorError("messages: text content blocks must be non-empty")
            if not str(block["text"]).strip():
                raise VendorError("messages: text content blocks must contain non-whitespace text")


def blocks_are_known(sent: Sent) -> None:
    """A block has a type of this API; an OpenAI part is not one (1.3)."""
    for where, _, block in every_block(sent):
        if block.get("type") not in _BLOCKS:
            raise VendorError(f"{where}: Input tag '{block.get('type')}' found using 'type'")


def calls_are_well_formed(sent: Sent) -> None:
    """A tool_use has an object as input, and an id of [a-zA-Z0-9_-] that is used once (1.3)."""
    ids: set[object] = set()
    for where, _, block in every_block(sent):
        if block.get("type") != "tool_use":
            continue
        ident = block.get("id")
        if not isinstance(ident, str) or not _ID.fullmatch(ident):
            raise VendorError(
                f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
            )
        if ident in ids:
            raise VendorError("messages: `tool_use` ids must be unique")
        ids.add(ident)
        if not isinstance(block.get("input"), dict):
            raise VendorError(f"{where}.tool_use.input: Input should be a valid dictionary")


def results_answer_calls(sent: Sent) -> None:
    """Each call is answered in the very next message, and nothing else is (1.3, tool result)."""
    pending: list[object] = []
    for n, message in enumerate(messages(sent)):
        given = [b.get("tool_use_id") for b in blocks(message) if b.get("type") == "tool_result"]
        if stray := [ident for ident in given if ident not in pending]:
            raise VendorError(
                f"messages.{n}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{stray[0]}. Each `tool_result` block must have a corresponding `tool_use` block "
                "in the previous message."
            )
        if len(given) != len(set(map(str, given))):
            raise VendorError(
                f"messages.{n}: each tool_use must have a single result. Found multiple "
                f"`tool_result` blocks with id: {given[0]}"
            )
        _answered(n, [ident for ident in pending if ident not in given])
        pending = [b.get("id") for b in blocks(message) if b.get("type") == "tool_use"]
    _answered(len(messages(sent)), pending)


def _answered(n: int, missing: list[object]) -> None:
    if missing:
        raise VendorError(
            f"messages.{n}: `tool_use` ids were found without `tool_result` blocks immediately "
            f"after: {', '.join(map(str, missing))}. Each `tool_use` block must have a "
            "corresponding `tool_result` block in the next message."
        )


def results_come_first(sent: Sent) -> None:
    """In a user message the tool results stand before all else (1.3, and the vendor's page)."""
    for n, message in enumerate(messages(sent)):
        kinds = [block.get("type") == "tool_result" for block in blocks(message)]
        if kinds != sorted(kinds, reverse=True):
            raise VendorError(
                f"messages.{n}: `tool_use` ids were found without `tool_result` blocks "
                "immediately after: tool_result blocks must come first in the content"
            )


def thinking_is_genuine(sent: Sent) -> None:
    """Thinking comes back exactly as it was signed here, or not at all (0.3, 1.6)."""
    for where, _, block in every_block(sent):
        kind = block.get("type")
        if kind == "thinking":
            if not isinstance(block.get("signature"), str):
                raise VendorError(f"{where}.thinking.signature: Field required")
            if not seals("thinking", block["signature"], str(block.get("thinking"))):
                raise VendorError(f"{where}: Invalid `signature` in `thinking` block")
        if kind == "redacted_thinking" and not is_sealed("redacted", block.get("data")):
            raise VendorError(f"{where}: Invalid `data` in `redacted_thinking` block")


def a_thinking_turn_begins_with_thinking(sent: Sent) -> None:
    """With `thinking: enabled` the tool turn being answered begins with its thinking (1.6)."""
    said = messages(sent)
    if mapping(sent.body.get("thinking")).get("type") != "enabled" or len(said) < 2:
        return
    last, before = said[-1], blocks(said[-2])
    answers = any(block.get("type") == "tool_result" for block in blocks(last))
    if answers and before and before[0].get("type") not in _OPENINGS:
        raise VendorError(
            f"messages.{len(said) - 2}.content.0.type: Expected `thinking` or "
            f"`redacted_thinking`, but found `{before[0].get('type')}`. When `thinking` is "
            "enabled, a final `assistant` message must start with a thinking block."
        )


def prefill_is_possible(sent: Sent) -> None:
    """A final assistant message is gone with 5.x, never goes with thinking, and has no white
    space at its end (1.3, prefill)."""
    last = messages(sent)[-1]
    if last.get("role") != "assistant":
        return
    if not describe(sent.model).prefill:
        raise VendorError("This model does not support assistant message prefill.")
    if mapping(sent.body.get("thinking")).get("type") == "enabled":
        raise VendorError(
            "A final assistant message cannot be prefilled when thinking is enabled."
        )
    text = str((blocks(last) or [{}])[-1].get("text") or "")
    if text != text.rstrip():
        raise VendorError("messages: final assistant content cannot end with trailing whitespace")


def pictures_are_what_they_say(sent: Sent) -> None:
    """Images are jpeg, png, gif or webp, and their bytes are what the label says (1.3)."""
    for where, message, block in every_block(sent):
        inner = objects(block.get("content")) if block.get("type") == "tool_result" else []
        for part in (block, *inner):
            if part.get("type") == "image":
                _picture(where, mapping(part.get("source")))
        if block.get("type") == "document" and message.get("role") == "assistant":
            raise VendorError(f"{where}: document blocks are not permitted in assistant messages")


def _picture(where: str, source: Json) -> None:
    if source.get("type") in ("url", "file"):
        return
    label = source.get("media_type")
    if source.get("type") != "base64" or label not in _IMAGES:
        raise VendorError(
            f"{where}.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', "
            "'image/gif' or 'image/webp'"
        )
    found = media_type(source.get("data"))
    if not found:
        raise VendorError(f"{where}.image.source.base64: Could not process image")
    if found != label:
        raise VendorError(
            f"{where}.image.source.base64.data: Image does not match the provided media type "
            f"{label}"
        )


RULES = (
    there_is_a_message,
    roles_are_in_place,
    something_is_said,
    blocks_are_known,
    calls_are_well_formed,
    results_answer_calls,
    results_come_first,
    thinking_is_genuine,
    a_thinking_turn_begins_with_thinking,
    prefill_is_possible,
    pictures_are_what_they_say,
)
