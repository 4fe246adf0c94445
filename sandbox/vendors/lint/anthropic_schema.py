"""What Anthropic takes of JSON Schema for a structured answer: one schema at a time."""

from sandbox.vendors.conversation import Json
from sandbox.vendors.lint.shapes import names
from sandbox.vendors.vendors import VendorError

_KNOWN_WORDS = names(
    "$ref $defs type title description enum const properties required additionalProperties items "
    "anyOf allOf minItems format"
)
_STRING_FORMATS = names("date-time time date duration email hostname uri ipv4 ipv6 uuid")
_NUMERIC = names(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength "
    "minItems maxItems uniqueItems"
)


def check(schema: Json) -> None:
    """Objects are closed, nothing is bounded, and no word is another than those (1.3)."""
    kind = schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise VendorError(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be "
            "explicitly set to false"
        )
    limits = sorted(_NUMERIC & set(schema)) if isinstance(kind, str) else []
    if limits and not (kind == "array" and schema.get("minItems") in (0, 1) and len(limits) == 1):
        raise VendorError(
            f"output_config.format.schema: For '{kind}' type, property '{limits[0]}' is not "
            "supported"
        )
    strange = sorted(set(schema) - _KNOWN_WORDS - _NUMERIC)
    if strange == ["oneOf"]:
        raise VendorError("output_config.format.schema: Schema type 'oneOf' is not supported")
    if strange:
        raise VendorError(
            f"output_config.format.schema: For '{kind}' type, property '{strange[0]}' is not "
            "supported"
        )
    form = schema.get("format")
    if form is not None and (kind != "string" or form not in _STRING_FORMATS):
        raise VendorError(f"output_config.format.schema: format '{form}' is not supported")
