"""What OpenAI refuses in the items of a Responses request."""

from sandbox.vendors import compaction
from sandbox.vendors.conversation import Json, Sent, mapping, objects
from sandbox.vendors.lint import openai
from sandbox.vendors.lint.shapes import names
from sandbox.vendors.seal import is_sealed
from sandbox.vendors.vendors import VendorError

_TYPES = names(
    "message reasoning function_call function_call_output custom_tool_call "
    "custom_tool_call_output item_reference file_search_call web_search_call computer_call "
    "computer_call_output image_generation_call code_interpreter_call local_shell_call "
    "local_shell_call_output shell_call shell_call_output apply_patch_call "
    "apply_patch_call_output mcp_list_tools mcp_approval_request mcp_approval_response mcp_call "
    "compaction compaction_trigger additional_tools tool_search_call tool_search_output program "
    "program_output agent_message agent_reasoning configuration_update"
)
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "function_call_output": "fco",
    "custom_tool_call_output": "ctco",
}
_PARTS = {
    "user": ("input_text", "input_image", "input_file", "input_audio"),
    "system": ("input_text", "input_image", "input_file", "input_audio"),
    "developer": ("input_text", "input_image", "input_file", "input_audio"),
    "assistant": ("output_text", "refusal"),
}
_CALLS = {
    "function_call": "arguments",
    "custom_tool_call": "input",
}
_FOREIGN = ("cache_control", "tool_calls", "tool_call_id", "reasoning_content")


def check(sent: Sent) -> None:
    """Apply every rule."""
    for rule in RULES:
        rule(sent)


def _items(sent: Sent) -> list[Json]:
    return objects(sent.body.get("input"))


def _kind(item: Json) -> str:
    return str(item.get("type") or "message")


def items_are_known(sent: Sent) -> None:
    """An item has a type of this API (no type is a message), and no field of another (1.3)."""
    if isinstance(sent.body.get("input"), list) and len(_items(sent)) != len(sent.body["input"]):
        raise VendorError("Invalid type for 'input[0]': expected an object.", code="invalid_type")
    for n, item in enumerate(_items(sent)):
        if _kind(item) not in _TYPES:
            raise openai.invalid(f"input[{n}].type", item.get("type"), ", ".join(sorted(_TYPES)))
        for field in _FOREIGN:
            if field in item:
                raise openai.unknown(f"input[{n}].{field}")


def ids_have_their_prefix(sent: Sent) -> None:
    """The id of an item begins with the letters of its type (vendor's 400)."""
    for n, item in enumerate(_items(sent)):
        prefix = _PREFIXES.get(_kind(item))
        if prefix and item.get("id") and not str(item["id"]).startswith(prefix):
            raise openai.bare(
                f"input[{n}].id",
                f"Invalid 'input[{n}].id': '{item['id']}'. Expected an ID that begins with "
                f"'{prefix}'.",
            )


def messages_are_well_formed(sent: Sent) -> None:
    """Each role takes its own parts: `input_text` from the user, `output_text` from us (1.3)."""
    for n, item in enumerate(_items(sent)):
        if _kind(item) != "message":
            continue
        role = item.get("role")
        if role not in _PARTS:
            raise openai.invalid(f"input[{n}].role", role, ", ".join(_PARTS))
        if not isinstance(item.get("content"), str | list):
            raise openai.missing(f"input[{n}].content")
        for m, part in enumerate(objects(item.get("content"))):
            where = f"input[{n}].content[{m}]"
            if part.get("type") not in _PARTS[role]:
                raise openai.invalid(where, part.get("type"), ", ".join(_PARTS[role]))
            _part(where, part)


def _part(where: str, part: Json) -> None:
    if "cache_control" in part:
        raise openai.unknown(f"{where}.cache_control")
    if part["type"] == "input_image" and not part.get("file_id"):
        openai.picture(f"{where}.image_url", part.get("image_url"))


def calls_are_well_formed(sent: Sent) -> None:
    """A call has a `call_id` of at most 64 characters and its arguments as text (1.3)."""
    for n, item in enumerate(_items(sent)):
        field = _CALLS.get(_kind(item))
        if not field:
            continue
        ident = item.get("call_id")
        if not isinstance(ident, str):
            raise openai.missing(f"input[{n}].call_id")
        if len(ident) > 64:
            raise openai.bare(
                f"input[{n}].call_id",
                f"Invalid 'input[{n}].call_id': string too long. Expected at most 64.",
            )
        openai.tool_name(f"input[{n}]", item.get("name"))
        if not isinstance(item.get(field), str):
            raise VendorError(
                f"Invalid type for 'input[{n}].{field}': expected a string.",
                param=f"input[{n}].{field}",
                code="invalid_type",
            )


def results_answer_calls(sent: Sent) -> None:
    """Every call has an output behind it, and every output a call before it (1.3)."""
    pending: dict[object, str] = {}
    for n, item in enumerate(_items(sent)):
        kind, ident = _kind(item), item.get("call_id")
        if kind in _CALLS:
            pending[ident] = kind
        elif kind.removesuffix("_output") in _CALLS and kind.endswith("_output"):
            if pending.pop(ident, None) != kind.removesuffix("_output"):
                raise VendorError(
                    f"No tool call found for function call output with call_id {ident}.",
                    param="input",
                )
            if not isinstance(item.get("output"), str | list):
                raise openai.missing(f"input[{n}].output")
    if pending:
        raise VendorError(
            f"No tool output found for function call {next(iter(pending))}.", param="input"
        )


def nothing_is_stored(sent: Sent) -> None:
    """An id alone refers to what was stored, and nothing was (1.6, rule 7)."""
    for item in _items(sent):
        alone = _kind(item) == "reasoning" and item.get("encrypted_content") is None
        if _kind(item) == "item_reference" or alone:
            raise VendorError(
                f"Item with id '{item.get('id')}' not found. Items are not persisted when "
                "`store` is set to false. Try again with `store` set to true, or remove this "
                "item from your input.",
                status=404,
                param="input",
            )


def reasoning_is_genuine(sent: Sent) -> None:
    """Encrypted reasoning comes back as it was given here, or not at all (0.3, 1.6)."""
    for n, item in enumerate(_items(sent)):
        if _kind(item) != "reasoning":
            continue
        if not isinstance(item.get("summary"), list):
            raise openai.missing(f"input[{n}].summary")
        if not is_sealed("encrypted_content", item["encrypted_content"]):
            raise VendorError(
                f"The encrypted content for item {item.get('id')} could not be verified. Reason: "
                "Encrypted content could not be decrypted or parsed.",
                code="invalid_encrypted_content",
            )


def compactions_are_ours(sent: Sent) -> None:
    """A compaction comes back as it was made, or not at all."""
    for item in _items(sent):
        if _kind(item) == "compaction" and not is_sealed(
            compaction.KIND, item.get("encrypted_content")
        ):
            raise VendorError(
                "The encrypted content of a compaction item could not be verified.",
                code="invalid_encrypted_content",
            )


def reasoning_leads_somewhere(sent: Sent) -> None:
    """A reasoning item is followed by what it led to (1.6, rule 8)."""
    items = _items(sent)
    for item, after in zip(items, [*items[1:], {}], strict=False):
        led = _kind(after) in (*_CALLS, "reasoning") if after else False
        said = bool(after) and _kind(after) == "message" and after.get("role") == "assistant"
        hosted = bool(after) and _kind(after).endswith("_call")
        if _kind(item) == "reasoning" and not (led or said or hosted):
            raise VendorError(
                f"Item '{item.get('id')}' of type 'reasoning' was provided without its required "
                "following item.",
                param="input",
            )


def results_hold_known_parts(sent: Sent) -> None:
    """An output in parts holds texts, images and files (1.3, tool result)."""
    for n, item in enumerate(_items(sent)):
        for part in objects(item.get("output")):
            if part.get("type") not in ("input_text", "input_image", "input_file"):
                where = f"input[{n}].output"
                raise openai.invalid(where, part.get("type"), "'input_text', 'input_image' ...")
            _part(f"input[{n}].output", mapping(part))


RULES = (
    compactions_are_ours,
    items_are_known,
    ids_have_their_prefix,
    messages_are_well_formed,
    calls_are_well_formed,
    results_answer_calls,
    nothing_is_stored,
    reasoning_is_genuine,
    reasoning_leads_somewhere,
    results_hold_known_parts,
)
