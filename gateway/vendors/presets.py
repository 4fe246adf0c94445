"""Who is known, and how each wants to be asked: providers ready to be switched on.

Each is a row that staff may change; here is what it begins with. From the providers' own
documentation, autumn 2026. A preset has no key, serves nobody, and is inactive until staff give
it a credential and switch it on.
"""

from dataclasses import dataclass, field
from typing import Any

from gateway.vendors.manners import Hosting, Quirk
from gateway.vendors.models import Auth, Dialect, Provider, Vendor

# What our requests may name and compatible hosts do not know.
_OPENAIS = ("store", "safety_identifier")
_LIMIT = {"max_completion_tokens": "max_tokens"}


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider as it begins. `everything`: it serves all models of its vendor by their names in
    the catalogue; else what is offered. `group` is where it stands in the form, `note` what staff
    have to do."""

    name: str
    title: str
    group: str
    vendor: Vendor
    base_url: str
    dialect: str = ""
    auth: str = ""
    hosting: str = ""
    region: str = ""
    project: str = ""
    api_version: str = ""
    everything: bool = False
    quirks: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def columns(self) -> dict[str, Any]:
        """Those of a provider."""
        apart = ("title", "group", "note")
        names = [name for name in self.__slots__ if name not in apart]
        return {name: getattr(self, name) for name in names}

    def provider(self) -> Provider:
        """A row that is not saved, and not active."""
        return Provider(active=False, **self.columns())


_CHAT, _CLAUDE, _CLOUD = "Chat Completions", "Messages", "Clouds"
_THINKING = {Quirk.REPLAYS: True}


def _chat(*without: str, **quirks: Any) -> dict[str, Any]:
    """Of a host that knows Chat as it was."""
    renames = {Quirk.RENAMES: _LIMIT, Quirk.SYSTEM: True}
    return {Quirk.WITHOUT: [*_OPENAIS, *without]} | renames | quirks


_OFFER = "Say below which models it has, and under which names."
PRESETS = (
    Preset("deepseek", "DeepSeek", _CHAT, Vendor.DEEPSEEK, "https://api.deepseek.com",
           everything=True, quirks=_chat(schema="instruction") | _THINKING),
    Preset("qwen", "Qwen (Alibaba Model Studio)", _CHAT, Vendor.QWEN,
           "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", everything=True,
           quirks=_chat()),
    Preset("kimi", "Kimi (Moonshot AI)", _CHAT, Vendor.MOONSHOT, "https://api.moonshot.ai/v1",
           everything=True, quirks=_chat() | _THINKING),
    Preset("glm", "GLM (Z.ai)", _CHAT, Vendor.ZAI, "https://api.z.ai/api/paas/v4",
           everything=True,
           quirks=_chat("parallel_tool_calls", "prompt_cache_key", schema="instruction")
           | _THINKING),
    Preset("mistral", "Mistral", _CHAT, Vendor.MISTRAL, "https://api.mistral.ai/v1",
           everything=True,
           quirks=_chat("stream_options", "user", "logit_bias", "prompt_cache_key",
                        "reasoning_effort", "service_tier")
           | {Quirk.RENAMES: _LIMIT | {"seed": "random_seed"}}),
    Preset("xai", "xAI", _CHAT, Vendor.XAI, "https://api.x.ai/v1", everything=True,
           quirks={Quirk.WITHOUT: list(_OPENAIS)}),
    Preset("groq", "Groq", _CHAT, Vendor.OTHER, "https://api.groq.com/openai/v1",
           quirks={Quirk.WITHOUT: [*_OPENAIS, "logit_bias", "logprobs", "top_logprobs",
                                   "prompt_cache_key", "verbosity", "prediction"]},
           note=_OFFER),
    Preset("together", "Together AI", _CHAT, Vendor.OTHER, "https://api.together.xyz/v1",
           quirks={Quirk.WITHOUT: list(_OPENAIS), Quirk.RENAMES: _LIMIT}, note=_OFFER),
    Preset("vllm", "vLLM, on your own machines", _CHAT, Vendor.OTHER, "http://localhost:8000/v1",
           auth=Auth.NONE, quirks={Quirk.WITHOUT: list(_OPENAIS)},
           note=f"Its address; a key if it was started with one. {_OFFER}"),
    Preset("ollama", "Ollama, on your own machines", _CHAT, Vendor.OTHER,
           "http://localhost:11434/v1", auth=Auth.NONE, quirks=_chat(),
           note=f"Its address. {_OFFER}"),
    Preset("openai-compatible", "Any other host of Chat Completions", _CHAT, Vendor.OTHER,
           "https://llm.example.com/v1", quirks=_chat(), note=f"Its address. {_OFFER}"),
    Preset("deepseek-claude", "DeepSeek, as Messages", _CLAUDE, Vendor.DEEPSEEK,
           "https://api.deepseek.com/anthropic", Dialect.ANTHROPIC_MESSAGES, everything=True,
           note="In place of DeepSeek's Chat: for agents that speak Messages."),
    Preset("kimi-claude", "Kimi, as Messages", _CLAUDE, Vendor.MOONSHOT,
           "https://api.moonshot.ai/anthropic", Dialect.ANTHROPIC_MESSAGES, everything=True),
    Preset("glm-claude", "GLM, as Messages", _CLAUDE, Vendor.ZAI,
           "https://api.z.ai/api/anthropic", Dialect.ANTHROPIC_MESSAGES, everything=True),
    Preset("anthropic-compatible", "Any other host of Messages", _CLAUDE, Vendor.OTHER,
           "https://llm.example.com", Dialect.ANTHROPIC_MESSAGES,
           note=f"Its address. {_OFFER}"),
    Preset("azure", "Azure OpenAI, v1", _CLOUD, Vendor.OPENAI,
           "https://your-resource.openai.azure.com", hosting=Hosting.AZURE_V1,
           note="The name of your resource. Say below which deployment has which model."),
    Preset("azure-deployments", "Azure OpenAI, deployments in the path", _CLOUD, Vendor.OPENAI,
           "https://your-resource.openai.azure.com", hosting=Hosting.AZURE,
           api_version="2025-04-01-preview",
           note="The name of your resource. Say below which deployment has which model."),
    Preset("azure-entra", "Azure OpenAI, v1, by a Microsoft Entra application", _CLOUD,
           Vendor.OPENAI, "https://your-resource.openai.azure.com", auth=Auth.ENTRA,
           hosting=Hosting.AZURE_V1,
           note="The name of your resource. Say below which deployment has which model."),
    Preset("bedrock", "Amazon Bedrock, by an access key", _CLOUD, Vendor.AMAZON,
           "https://bedrock-runtime.us-east-1.amazonaws.com", auth=Auth.SIGV4,
           hosting=Hosting.BEDROCK, region="us-east-1", everything=True,
           note="Your region, in the address too. Say below which of your inference profiles has "
           "which Claude (us.anthropic.claude-…): Messages; any other model: Converse."),
    Preset("bedrock-key", "Amazon Bedrock, by an API key", _CLOUD, Vendor.AMAZON,
           "https://bedrock-runtime.us-east-1.amazonaws.com", hosting=Hosting.BEDROCK,
           region="us-east-1", everything=True, note="As above."),
    Preset("vertex", "Google Vertex AI", _CLOUD, Vendor.GOOGLE,
           "https://aiplatform.googleapis.com", auth=Auth.SERVICE_ACCOUNT,
           hosting=Hosting.VERTEX, region="global", project="your-project", everything=True,
           note="Your project; for one region, that and its address "
           "(https://us-east5-aiplatform.googleapis.com). Claude is offered below."),
)  # fmt: skip
BY_NAME = {preset.name: preset for preset in PRESETS}


def seed() -> None:
    """Write down those that are missing: inactive, without a key."""
    known = set(Provider.objects.values_list("name", flat=True))
    Provider.objects.bulk_create(p.provider() for p in PRESETS if p.name not in known)
