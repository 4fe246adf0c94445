"""What Google refuses in the contents of a request."""

import base64
import binascii

from sandbox.vendors.conversation import Json, Sent, mapping, objects, walk
from sandbox.vendors.lint.shapes import names
from sandbox.vendors.seal import is_sealed
from sandbox.vendors.vendors import VendorError, version_of

SENTINEL = "skip_thought_signature_validator"
"""The documented stand-in for a signature that was lost (1.6, rule 5)."""

_DATA = names(
    "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult"
)
_BESIDE = names("thought thoughtSignature videoMetadata mediaResolution partMetadata")
_INSIDE = {
    "functionCall": names("id name args"),
    "functionResponse": names("id name response parts willContinue scheduling"),
    "inlineData": names("mimeType data displayName"),
    "fileData": names("mimeType fileUri displayName"),
}
_MEDIA = ("image/", "audio/", "video/", "text/", "application/pdf", "application/json")


def check(sent: Sent) -> None:
    """Apply every rule."""
    for rule in RULES:
        rule(sent)


def request(sent: Sent) -> Json:
    """The request itself; countTokens may wrap it."""
    return mapping(sent.body.get("generateContentRequest")) or sent.body


def _contents(sent: Sent) -> list[Json]:
    return objects(request(sent).get("contents"))


def _parts(content: Json) -> list[Json]:
    return objects(content.get("parts"))


def _calls(content: Json) -> list[Json]:
    return [part for part in _parts(content) if "functionCall" in part]


def _answers(content: Json) -> list[Json]:
    return [part for part in _parts(content) if "functionResponse" in part]


def something_is_said(sent: Sent) -> None:
    """`contents` is never empty, and neither is a content (1.3, user text)."""
    if not _contents(sent):
        raise VendorError("GenerateContentRequest.contents: contents is not specified")
    for n, content in enumerate(_contents(sent)):
        if content.get("role") not in (None, "user", "model", "function"):
            raise VendorError("Please use a valid role: user, model.")
        if not _parts(content):
            raise VendorError(
                f"GenerateContentRequest.contents[{n}].parts: contents.parts must not be empty."
            )


def parts_hold_one_thing(sent: Sent) -> None:
    """A part holds exactly one kind of data, and nothing unknown (1.7); text is not empty, unless
    it carries a signature (2.4)."""
    system = mapping(request(sent).get("systemInstruction"))
    for n, content in enumerate([system, *_contents(sent)]):
        for m, part in enumerate(_parts(content)):
            where = f"contents[{n - 1}].parts[{m}]" if n else f"system_instruction.parts[{m}]"
            _part(where, part)


def _part(where: str, part: Json) -> None:
    for field in part:
        if field not in _DATA | _BESIDE:
            raise VendorError(
                f"Invalid JSON payload received. Unknown name \"{field}\" at '{where}': Cannot "
                "find field."
            )
    kinds = _DATA & set(part)
    empty = kinds == {"text"} and not part["text"] and "thoughtSignature" not in part
    if len(kinds) != 1 or empty:
        raise VendorError(
            f"{where}.data: required oneof field 'data' must have one initialized field"
        )
    for kind, known in _INSIDE.items():
        if extra := sorted(set(mapping(part.get(kind))) - known):
            raise VendorError(
                f'Invalid JSON payload received. Unknown name "{extra[0]}" at '
                f"'{where}.{kind}': Cannot find field."
            )


def calls_are_well_formed(sent: Sent) -> None:
    """A call has a name and an object of arguments; a response has a name and an object, in
    which "$ref" would be read as a reference to a part (1.3, L27)."""
    for content in _contents(sent):
        for part in _calls(content):
            call = mapping(part["functionCall"])
            if not call.get("name") or not isinstance(call.get("args", {}), dict):
                raise VendorError("function_call: name is required and args is an object.")
        for part in _answers(content):
            answer = mapping(part["functionResponse"])
            if not answer.get("name"):
                raise VendorError("function_response.name: Name cannot be empty.")
            if not isinstance(answer.get("response"), dict):
                raise VendorError("function_response.response: must be an object.")
            if any("$ref" in inner for inner in walk(answer["response"])):
                raise VendorError(
                    "function_response.response: $ref to a part that does not exist."
                )


def calls_come_after_the_user(sent: Sent) -> None:
    """A turn that calls functions follows a user turn or a function response turn."""
    before: Json = {"role": "model"}
    for content in _contents(sent):
        if _calls(content) and before.get("role") == "model":
            raise VendorError(
                "Please ensure that function call turn comes immediately after a user turn or "
                "after a function response turn."
            )
        before = content


def responses_answer_calls(sent: Sent) -> None:
    """All responses of a turn stand in the one content right behind it, as many as there were
    calls, and with their names (1.3, tool result)."""
    pending: list[str] = []
    for content in _contents(sent):
        answers = [str(part["functionResponse"].get("name")) for part in _answers(content)]
        if answers and not pending:
            raise VendorError(
                "Please ensure that function response turn comes immediately after a function "
                "call turn."
            )
        if sorted(answers) != sorted(pending):
            raise VendorError(
                "Please ensure that the number of function response parts is equal to the number "
                "of function call parts of the function call turn."
            )
        pending = [str(part["functionCall"].get("name")) for part in _calls(content)]


def signatures_are_genuine(sent: Sent) -> None:
    """A thought signature comes back as it was given here (0.3, 1.6)."""
    for content in _contents(sent):
        for part in _parts(content):
            token = part.get("thoughtSignature")
            known = token in (None, SENTINEL) or is_sealed("thought_signature", token)
            if not known:
                raise VendorError("Corrupted thought signature.")


def this_turn_is_signed(sent: Sent) -> None:
    """Gemini 3: in the current turn, the first call of each step carries its signature (1.6).
    The turn begins with the last content of the user that is more than function responses."""
    if version_of(sent.model) < 3:
        return
    contents = _contents(sent)
    users = [
        n
        for n, content in enumerate(contents)
        if content.get("role") != "model" and len(_answers(content)) < len(_parts(content))
    ]
    for n, content in list(enumerate(contents))[max(users, default=-1) + 1 :]:
        calls = _calls(content)
        if calls and not calls[0].get("thoughtSignature"):
            name = mapping(calls[0]["functionCall"]).get("name")
            raise VendorError(
                "Function call is missing a thought_signature in functionCall parts. This is "
                "required for tools to work correctly, and missing thought_signature may lead to "
                "degraded model performance. Additional data, function call "
                f"`default_api:{name}`, position {n + 1}."
            )


def media_are_sound(sent: Sent) -> None:
    """Inline data is base64 of a known MIME type; a file is an https or Google URI with one."""
    for content in _contents(sent):
        for part in _parts(content):
            for kind in ("inlineData", "fileData"):
                if kind in part:
                    _medium(kind, mapping(part[kind]))


def _medium(kind: str, data: Json) -> None:
    mime = data.get("mimeType")
    if not isinstance(mime, str) or not mime.startswith(_MEDIA):
        raise VendorError(f"Unsupported MIME type: {mime}")
    if kind == "fileData":
        if not str(data.get("fileUri")).startswith(("https://", "gs://")):
            raise VendorError(f"Invalid or unsupported file uri: {data.get('fileUri')}")
        return
    try:
        found = base64.b64decode(str(data.get("data")), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not found:
        raise VendorError(
            "Invalid value at 'inline_data.data' (TYPE_BYTES), Base64 decoding failed"
        )


RULES = (
    something_is_said,
    parts_hold_one_thing,
    calls_are_well_formed,
    calls_come_after_the_user,
    responses_answer_calls,
    signatures_are_genuine,
    this_turn_is_signed,
    media_are_sound,
)
