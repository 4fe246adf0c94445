"""The tools that we run ourselves, as a request asks for them."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from gateway.catalogue.features.sift import Use
from gateway.dialects.codecs import hosted
from gateway.dialects.codecs.hosted import Helped
from gateway.plane.inbound import InboundRequest


def are_asked_for(inbound: InboundRequest) -> bool:
    """Whether it names a tool that its host has not, and we run."""
    if "web_search_options" in inbound.parsed:
        return True
    tools, known = inbound.parsed.get("tools"), inbound.model.rules().tools
    return any(
        isinstance(tool, dict)
        and hosted.ours(tool) in inbound.target.ours
        and known.find(str(tool.get("type"))) is None
        for tool in (tools if isinstance(tools, list) else ())
    )


def uses(inbound: InboundRequest, helped: Mapping[str, Helped], most: int | None) -> Iterator[Use]:
    """Of each such tool; what bounds them in the client's words bounds all of it. `most`: how
    often each may be used if the balance covers no more."""
    rows, whole = inbound.model.rules().ours, inbound.parsed.get("max_tool_calls")
    for word in dict.fromkeys(each.tool for each in helped.values()):
        mine = [each.declared for each in helped.values() if each.tool == word]
        bounds = (rows[word].most_calls, most, whole, mine[0].get("max_uses"))
        yield Use(rows[word], min(each for each in bounds if _is_count(each)), mine[0])


def _is_count(number: Any) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0
