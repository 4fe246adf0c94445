"""One spelling of a Gemini body: Google reads every member in camelCase and in snake_case, and one
object where a list may stand. Everything behind the door reads the first alone."""

import re
from typing import Any

from gateway.dialects.codecs import wire

_NAMES = """
    systemInstruction generationConfig toolConfig safetySettings cachedContent inlineData mimeType
    displayName fileData fileUri functionCall functionResponse thoughtSignature executableCode
    codeExecutionResult videoMetadata mediaResolution partMetadata functionDeclarations
    googleSearch googleSearchRetrieval codeExecution urlContext googleMaps fileSearch computerUse
    parametersJsonSchema responseJsonSchema responseSchema responseMimeType functionCallingConfig
    allowedFunctionNames retrievalConfig maxOutputTokens stopSequences candidateCount topP topK
    presencePenalty frequencyPenalty responseLogprobs responseModalities speechConfig imageConfig
    thinkingConfig includeThoughts thinkingBudget thinkingLevel audioTimestamp serviceTier
    enableEnhancedCivicAnswers generateContentRequest willContinue outputDimensionality taskType
    autoTruncate embedContentConfig
"""
# What in a schema of OpenAPI's has two spellings.
_SCHEMA_NAMES = """
    anyOf oneOf allOf propertyOrdering minItems maxItems minProperties maxProperties minLength
    maxLength additionalProperties prefixItems exclusiveMinimum exclusiveMaximum multipleOf
"""
# JSON of the client's own: its members are called what the client calls them.
_FREE = frozenset(
    (
        *("args", "response", "parameters", "parametersJsonSchema", "responseSchema"),
        *("responseJsonSchema", "labels", "partMetadata"),
    )
)
_LISTS = frozenset(("contents", "parts", "tools", "functionDeclarations"))


def _snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


_CAMEL = {_snake(name): name for name in _NAMES.split()}
SCHEMA = {_snake(name): name for name in _SCHEMA_NAMES.split()}


# What decides how much is done, by its letters alone: Google reads no third spelling, and a server
# might that is asked in its place.
_PRICED = {
    name.lower(): name
    for name in (
        *("contents", "parts", "tools", "toolConfig", "generationConfig", "systemInstruction"),
        *(
            "maxOutputTokens",
            "candidateCount",
            "thinkingConfig",
            "thinkingBudget",
            "thinkingLevel",
        ),
        *("responseModalities", "serviceTier", "cachedContent", "stopSequences", "googleSearch"),
        *("codeExecution", "urlContext", "requests", "content", "outputDimensionality"),
    )
}


def canonical(body: dict[str, Any]) -> dict[str, Any]:
    """The same body in camelCase, with lists where lists may stand. The body is not changed.

    Raises BadRequest for a member in both spellings, or in a third one where that could matter."""
    return {name: _value(name, value) for name, value in _spelled(body).items()}


def _spelled(node: dict[str, Any]) -> dict[str, Any]:
    made = {_CAMEL.get(name, name): value for name, value in node.items()}
    if len(made) < len(node):
        twin = next(name for name in node if name not in made and _CAMEL[name] in node)
        wire.refuse(twin, f"occurs twice: it is {_CAMEL[twin]}")
    for name in made:
        right = _PRICED.get(name.replace("_", "").strip().lower(), name)
        if right != name:
            wire.refuse(name[:100], f"write {right}")
    return made


def _value(name: str, value: Any) -> Any:
    if name in _FREE:
        return value
    if name in _LISTS and isinstance(value, dict):
        value = [value]
    if isinstance(value, dict):
        return canonical(value)
    if isinstance(value, list):
        return [canonical(each) if isinstance(each, dict) else each for each in value]
    return value
