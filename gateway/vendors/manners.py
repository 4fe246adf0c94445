"""How a host wants to be asked, where it is not as the dialect it speaks has it.

* Its paths: of a plain host the dialect's own, behind the path of its address; of a cloud the
  cloud's, with the model in them.
* What stands in the body: a cloud that has the model in its path takes it from the body.
* Its quirks, as data: members it refuses or calls otherwise, what it cannot do.

A host that has none of this is PLAIN, and nearly every request is on its way to one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from django.db import models

from gateway.dialects.ir import Target


class Hosting(models.TextChoices):
    """Whose cloud it is."""

    PLAIN = "", "none: a host of its own"
    AZURE = "azure", "Azure OpenAI, deployments"
    AZURE_V1 = "azure_v1", "Azure OpenAI, v1"
    BEDROCK = "bedrock", "Amazon Bedrock"
    VERTEX = "vertex", "Google Vertex AI"


class Quirk(StrEnum):
    """What is said of a host beside its address."""

    WITHOUT = "without"  # members of a body that it refuses
    RENAMES = "renames"  # members that it calls otherwise: {"max_completion_tokens": "max_tokens"}
    BARE = "bare"  # its address is complete: no /v1 is put behind it
    SYSTEM = "system"  # it knows no role "developer"
    SCHEMA = "schema"  # how it answers in a shape: "instruction" where it takes no JSON schema
    REPLAYS = "replays"  # it wants its own reasoning back beside the calls that followed it


QUIRKS = {
    Quirk.WITHOUT: list,
    Quirk.RENAMES: dict,
    Quirk.BARE: bool,
    Quirk.SYSTEM: bool,
    Quirk.SCHEMA: str,
    Quirk.REPLAYS: bool,
}

# What a request asks, and what its hold rests on.
LIMITS = frozenset(("max_tokens", "max_completion_tokens", "max_output_tokens"))
HELD = LIMITS | {"model", "messages", "input", "system", "instructions", "stream", "n", "tools"}

# The path of a dialect at a plain host, streamed or not.
_PLAIN = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
    "gemini": "/v1beta/models/{model}:streamGenerateContent?alt=sse",
}
_AZURE = "/openai/deployments/{model}/chat/completions?api-version={version}"
_VERTEX = "/v1/projects/{project}/locations/{region}/publishers"
# Of a cloud: of a whole answer, and of a streamed one.
_CLOUDS: dict[str, dict[str, tuple[str, str]]] = {
    Hosting.AZURE: {
        "openai_chat": (_AZURE, _AZURE),
        "openai_responses": ("/openai/responses?api-version={version}",) * 2,
    },
    Hosting.AZURE_V1: {
        "openai_chat": ("/openai/v1/chat/completions",) * 2,
        "openai_responses": ("/openai/v1/responses",) * 2,
    },
    Hosting.BEDROCK: {
        "anthropic_messages": (
            "/model/{model}/invoke",
            "/model/{model}/invoke-with-response-stream",
        ),
        "converse": ("/model/{model}/converse", "/model/{model}/converse-stream"),
    },
    Hosting.VERTEX: {
        "gemini": (f"{_VERTEX}/google/models/{{model}}:streamGenerateContent?alt=sse",) * 2,
        "anthropic_messages": (
            f"{_VERTEX}/anthropic/models/{{model}}:rawPredict",
            f"{_VERTEX}/anthropic/models/{{model}}:streamRawPredict",
        ),
    },
}
# What a cloud takes out of a Claude body, and what it wants in it.
_NOT_THERE = ("service_tier", "inference_geo", "speed", "container", "mcp_servers")
_CLAUDE: dict[str, tuple[tuple[str, ...], str]] = {
    Hosting.BEDROCK: (("model", "stream", *_NOT_THERE), "bedrock-2023-05-31"),
    Hosting.VERTEX: (("model", *_NOT_THERE), "vertex-2023-10-16"),
}
# Claude's switches that Bedrock knows.
_BEDROCK_BETAS = (
    *("computer-use-", "token-efficient-tools-", "interleaved-thinking-", "output-128k-"),
    *("dev-full-thinking-", "context-1m-", "context-management-", "fine-grained-tool-streaming-"),
    *("tool-search-tool-", "tool-examples-", "effort-", "compact-"),
)
_VERSION = re.compile(r"/v\d+[a-z]*\d*$")
_USUAL = ("/v1", "/v1beta")
_TAKES_HOSTED = (Hosting.PLAIN, Hosting.AZURE_V1)


@dataclass(frozen=True, slots=True)
class Manners:
    """Of one host in one dialect. `hosts`: it runs the tools that the dialect's vendor runs."""

    hosting: str = ""
    versioned: bool = True  # the dialect's version stands in the path
    region: str = ""
    project: str = ""
    api_version: str = ""
    without: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    system: bool = False
    schema: str = ""
    replays: bool = False

    @classmethod
    def of(
        cls,
        *,
        hosting: str,
        base_url: str,
        dialect: str,
        region: str = "",
        project: str = "",
        api_version: str = "",
        quirks: Mapping[str, Any] | None = None,
    ) -> "Manners":
        """Of a provider, as staff keep it. PLAIN where nothing is said."""
        given = quirks or {}
        without = tuple(given.get(Quirk.WITHOUT) or ())
        added: tuple[tuple[str, str], ...] = ()
        if dialect == "anthropic_messages" and hosting in _CLAUDE:
            gone, version = _CLAUDE[hosting]
            without, added = (*gone, *without), (("anthropic_version", version),)
        made = cls(
            hosting=hosting,
            versioned=bool(hosting) or not (given.get(Quirk.BARE) or _has_version(base_url)),
            region=region if hosting else "",
            project=project if hosting else "",
            api_version=api_version if hosting else "",
            without=without,
            renames=tuple((given.get(Quirk.RENAMES) or {}).items()),
            added=added,
            system=bool(given.get(Quirk.SYSTEM)),
            schema=str(given.get(Quirk.SCHEMA) or ""),
            replays=bool(given.get(Quirk.REPLAYS)),
        )
        return PLAIN if made == PLAIN else made

    @property
    def hosts(self) -> bool:
        return self.hosting in _TAKES_HOSTED

    def path(self, dialect: str, model: str, *, streams: bool) -> str:
        """Where it takes a request for `model`. Behind the path of its address."""
        if not self.hosting:
            path = _PLAIN[dialect].format(model=model)
            return path if self.versioned else "/" + path.split("/", 2)[2]
        whole, streamed = _CLOUDS[self.hosting][dialect]
        path = (streamed if streams else whole).format(
            model=quote(model, safe=""),
            region=self.region,
            project=self.project,
            version=quote(self.api_version),
        )
        if self.api_version and "?" not in path and self.hosting == Hosting.AZURE_V1:
            return f"{path}?api-version={quote(self.api_version)}"
        return path

    def counting(self) -> str:
        """Where a Claude host counts tokens; "" where nobody does, or not in these words."""
        if self.hosting:
            return ""
        return "/v1/messages/count_tokens" if self.versioned else "/messages/count_tokens"

    def target(self, target: Target) -> Target:
        """What its model can be asked."""
        if not (self.schema or self.replays):
            return target
        return replace(target, schema=self.schema or target.schema, replays=self.replays)

    def applied(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body as it takes it. What it is not to see is gone; nothing that costs is added."""
        if self is PLAIN or self == PLAIN:
            return body
        kept = {name: value for name, value in body.items() if name not in self.without}
        for old, new in self.renames:
            if old in kept:
                kept[new] = kept.pop(old)
        if self.system and isinstance(kept.get("messages"), list):
            kept["messages"] = [_told_by_system(message) for message in kept["messages"]]
        return kept | dict(self.added)


PLAIN = Manners()


class Named(NamedTuple):
    """What a host calls a model, in which dialect, and how it wants to be asked. What is empty is
    as the catalogue has it."""

    model: str = ""
    dialect: str = ""
    manners: Manners = PLAIN


NATIVE = Named()


def beta_in_body(flag: str) -> bool:
    """Whether Bedrock knows this switch of Claude's."""
    return flag.startswith(_BEDROCK_BETAS)


def _told_by_system(message: Any) -> Any:
    developer = isinstance(message, dict) and message.get("role") == "developer"
    return message | {"role": "system"} if developer else message


def _has_version(base_url: str) -> bool:
    """Whether an address ends in a version that is not the dialect's own: /api/paas/v4."""
    path = urlsplit(base_url.strip()).path.rstrip("/")
    return bool(_VERSION.search(path)) and not path.endswith(_USUAL)
