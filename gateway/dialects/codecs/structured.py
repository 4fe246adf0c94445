"""Structured output where a model has no native form of it (protocols.md section 1.3).

* `tool`: the answer is a forced call of one more tool, and comes back as the text it stands for
* `instruction`: the model is told, and a fence around the JSON is taken off
"""

from gateway.dialects.codecs import schemas, wire
from gateway.dialects.ir import Request, Target, Text, Tool

ANSWER = "structured_answer"
_OBJECT = "Answer with one JSON object and nothing else: no prose, no markdown fence."


def tool(request: Request, target: Target) -> Tool | None:
    """The tool to force, if that is how this target answers in a shape."""
    if request.output.kind != "json_schema" or target.schema != "tool":
        return None
    about = request.output.description or "Gives the final answer, in the shape that was asked."
    return Tool(ANSWER, about, request.output.schema)


def instruction(
    request: Request, target: Target, *, objects: bool, tools: bool = False
) -> list[Text]:
    """What to add to the system prompt; `objects` says the dialect has a JSON-object mode, and
    `tools` that some are offered."""
    output = request.output
    crowded = tools and not target.schema_with_tools
    if output.kind == "json_object" and (crowded or not objects):
        return [Text(_OBJECT)]
    if output.kind == "json_schema" and (crowded or target.schema == "instruction"):
        shape = wire.dump(schemas.ordered(output.schema))
        return [Text(f"{_OBJECT} It follows this JSON Schema:\n{shape}")]
    return []
