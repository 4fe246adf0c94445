"""What is allowed from the first day, and its price, from the vendors' public pages.

Idempotent: creates what is missing, never overwrites what staff edited; a row that was switched
off stays off. Names are those of the vendors' published SDKs; notes are for customers, who read
them in their language.

* Claude: platform.claude.com, "Pricing" (web search 10 dollars a thousand; a container of code
  execution 5 cents an hour, five minutes at least: those are charged for a request that ran
  any; US inference 1.1 times and fast mode 6 times the tokens' price)
* OpenAI: platform.openai.com, "Pricing" (web search 10 dollars a thousand calls, file search
  2.50, a container of the code interpreter 3 cents; images by gpt-image-1's tokens; flex half,
  priority as "Priority processing" lists it by model)
* Gemini: ai.google.dev, "Pricing" (2.5: 35 dollars a thousand grounded prompts; 3: 14 dollars a
  thousand searches; code execution costs its tokens; sound costs what text does, twice that at 3
  Flash)
"""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext_noop as _

from gateway.catalogue.features.models import OURS, Feature, Kind, Pricing
from gateway.vendors.models import Dialect
from hontoni.money import nanos

_FREE: dict[str, dict[str, str]] = {
    Dialect.ANTHROPIC_MESSAGES: {
        Kind.MEMBER: """
            cache_control context_management diagnostics max_tokens messages metadata model
            output_config output_format stop_sequences stream system temperature thinking
            tool_choice tools top_k top_p inference_geo speed service_tier safeguards
            output_config.effort output_config.format output_config.task_budget
            context_management.edits
            tools.allowed_callers tools.allowed_domains tools.blocked_domains tools.cache_control
            tools.caching tools.citations tools.configs tools.defer_loading tools.description
            tools.display_height_px tools.display_number tools.display_width_px
            tools.eager_input_streaming tools.enable_zoom tools.input_examples tools.input_schema
            tools.max_characters tools.max_content_tokens tools.max_tokens tools.max_uses
            tools.model tools.name tools.response_inclusion tools.strict tools.type
            tools.url_sources tools.use_cache tools.user_location
        """,
        Kind.VALUE: """
            inference_geo=global speed=standard service_tier=auto service_tier=standard_only
        """,
        Kind.TOOL: """
            custom function bash_* text_editor_* computer_* browser_toolset_* memory_*
        """,
        Kind.HEADER: "anthropic-version anthropic-beta anthropic-dangerous-direct-browser-access",
        Kind.BETA: """
            advanced-tool-use-* advisor-tool-* afk-mode-* dangerous-tool-use-*
            cache-diagnosis-* claude-code-* code-execution-*
            compact-* computer-use-* context-1m-* context-management-* dev-full-thinking-*
            effort-* extended-cache-ttl-* fast-mode-* fine-grained-tool-streaming-*
            inline-tools-* interleaved-thinking-* max-tokens-* mid-conversation-*
            model-context-window-exceeded-* oauth-* output-128k-* output-300k-* pdfs-*
            prompt-caching-* prompt-caching-scope-* redact-thinking-* search-results-*
            structured-outputs-* task-budgets-* thinking-* token-counting-* token-efficient-tools-*
            tool-examples-* tool-search-tool-* web-fetch-* web-search-*
        """,
        Kind.BLOCK: """
            text image document thinking redacted_thinking tool_use tool_result tool_reference
            search_result server_tool_use web_search_result web_search_tool_result
            web_search_tool_result_error web_fetch_result web_fetch_tool_result
            code_execution_output code_execution_result code_execution_tool_result
            bash_code_execution_output bash_code_execution_result bash_code_execution_tool_result
            text_editor_code_execution_tool_result tool_search_tool_result
            tool_search_tool_search_result advisor_result advisor_redacted_result
            advisor_tool_result compaction browser_state tool_addition tool_removal
            clear_thinking_* clear_tool_uses_*
        """,
    },
    Dialect.OPENAI_RESPONSES: {
        Kind.MEMBER: """
            client_metadata context_management image include input instructions max_output_tokens
            max_tool_calls metadata model moderation parallel_tool_calls prompt_cache_key
            prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier
            store stream stream_options temperature text tool_choice tools top_logprobs top_p
            truncation user
            reasoning.context reasoning.effort reasoning.generate_summary reasoning.summary
            tools.action tools.allowed_callers tools.background tools.container
            tools.container.type tools.defer_loading tools.description tools.display_height
            tools.display_width tools.environment tools.environment.type tools.execution
            tools.external_web_access tools.filters tools.format tools.function
            tools.input_fidelity tools.input_image_mask tools.max_num_results tools.moderation
            tools.name tools.output_compression tools.output_format tools.output_schema
            tools.parameters tools.partial_images tools.quality tools.ranking_options
            tools.search_content_types tools.search_context_size tools.size tools.strict
            tools.tools tools.type tools.user_location tools.vector_store_ids
        """,
        Kind.VALUE: "service_tier=auto service_tier=default",
        Kind.TOOL: """
            function custom namespace apply_patch local_shell computer computer_use_preview
        """,
        Kind.HEADER: "openai-beta",
        Kind.BETA: "responses* assistants* realtime*",
        Kind.BLOCK: """
            message reasoning function_call function_call_output custom_tool_call
            custom_tool_call_output tool_search_call tool_search_output additional_tools
            computer_call computer_call_output local_shell_call local_shell_call_output
            apply_patch_call apply_patch_call_output shell_call shell_call_output
            web_search_call file_search_call code_interpreter_call image_generation_call
            configuration_update compaction compaction_summary compaction_trigger item_reference
            input_text input_image input_file input_audio output_text refusal summary_text
            reasoning_text text computer_screenshot
        """,
    },
    Dialect.OPENAI_CHAT: {
        Kind.MEMBER: """
            audio frequency_penalty function_call functions logit_bias logprobs
            max_completion_tokens max_tokens messages metadata modalities model moderation n
            parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options
            prompt_cache_retention reasoning reasoning_effort response_format safety_identifier
            seed service_tier stop store stream stream_options temperature thinking
            thinking_budget tool_choice tools top_logprobs top_p user verbosity
            tools.cache_control tools.custom tools.function tools.type
        """,
        Kind.VALUE: "service_tier=auto service_tier=default",
        Kind.TOOL: "function custom",
        Kind.HEADER: "openai-beta",
        Kind.BETA: "assistants* realtime* responses*",
        Kind.BLOCK: "text image_url input_audio file refusal",
    },
    Dialect.GEMINI: {},
}
_US = "claude-opus-4.6,claude-sonnet-4.6"
_FLEX = "gpt-5-mini,gpt-5.1,gpt-5.2,gpt-5.4,gpt-5.4-mini"
_PRIORITY = (
    ("gpt-5-mini", 18_000),
    ("gpt-5.1", 20_000),
    ("gpt-5.2", 20_000),
    ("gpt-5.2-codex", 20_000),
    ("gpt-5.3-codex", 20_000),
    ("gpt-5.4", 20_000),
    ("gpt-5.4-mini", 20_000),
)
_PRIORITY_OF_CHAT = (("gpt-4.1", 17_500), ("gpt-4o", 17_000), ("gpt-4o-mini", 16_667))
# How the first seed had those that it let go on for ever.
_UNBOUNDED = {
    "tool_search": Pricing.INCLUDED,
    "tool_search_tool_bm25*": Pricing.INCLUDED,
    "tool_search_tool_regex*": Pricing.INCLUDED,
    "codeExecution": Pricing.INCLUDED,
    "code_interpreter": Pricing.PER_CALL,
}
_BOUNDING = ("pricing", "amount", "meter", "most_calls", "bound", "note")
_IMAGE_TOKENS = 50_000  # in one request, of either kind


def _call(dialect: str, name: str, dollars: str, meter: str, most: int, **more: Any) -> Feature:
    """A tool whose calls cost."""
    return Feature(
        dialect=dialect,
        kind=Kind.TOOL,
        name=name,
        pricing=Pricing.PER_CALL,
        amount=nanos(dollars),
        meter=meter,
        most_calls=most,
        **more,
    )


def _claude() -> Iterator[Feature]:
    to: dict[str, Any] = {"dialect": Dialect.ANTHROPIC_MESSAGES}
    uses = {"bound": "tools.max_uses"}
    yield _call(name="web_search_*", dollars="0.01", meter="web_search_requests", most=8,
                note=_("Claude searches the web"), **to, **uses)  # fmt: skip
    yield _call(name="web_fetch_*", dollars="0", meter="web_fetch_requests", most=8,
                note=_("Claude reads web pages: their tokens"), **to, **uses)  # fmt: skip
    yield _call(name="code_execution_*", dollars="0.004166667",
                meter="code_execution_containers", most=20,
                note=_("Claude runs code: five minutes of a container, a request"),
                **to)  # fmt: skip
    for way in ("bm25", "regex"):  # Claude pauses its turn after ten rounds of its own tools
        yield _call(name=f"tool_search_tool_{way}*", dollars="0", meter="tool_search_requests",
                    most=10, note=_("Claude looks for tools: their tokens"), **to)  # fmt: skip
    tokens = to | {"pricing": Pricing.TOKENS}
    yield Feature(kind=Kind.TOOL, name="advisor_*", most_calls=3,
                  note=_("another model advises, at its own price"), **tokens, **uses)  # fmt: skip
    yield Feature(kind=Kind.BLOCK, name="compact_*", most_calls=1,
                  note=_("a long conversation is summarised"), **tokens)  # fmt: skip
    yield Feature(kind=Kind.MEMBER, name="compaction", most_calls=1,
                  note=_("a long conversation is summarised"), **tokens)  # fmt: skip
    factor = to | {"kind": Kind.VALUE, "pricing": Pricing.FACTOR}
    yield Feature(name="inference_geo=us", factor=11_000, meter="inference_geo", only_models=_US,
                  note=_("inference in the United States only"), **factor)  # fmt: skip
    yield Feature(name="speed=fast", factor=60_000, meter="speed", only_models="claude-opus-4.6",
                  note=_("fast mode"), **factor)  # fmt: skip


def _openai() -> Iterator[Feature]:
    to: dict[str, Any] = {"dialect": Dialect.OPENAI_RESPONSES}
    calls = to | {"bound": "max_tool_calls"}
    yield _call(name="web_search*", dollars="0.01", meter="web_search_call", most=4,
                note=_("OpenAI searches the web"), **calls)  # fmt: skip
    yield _call(name="file_search", dollars="0.0025", meter="file_search_call", most=4,
                note=_("OpenAI searches files"), **calls)  # fmt: skip
    yield _call(name="code_interpreter", dollars="0.03", meter="code_interpreter_call", most=6,
                note=_("OpenAI runs code, by the container"), **calls)  # fmt: skip
    yield _call(name="tool_search", dollars="0", meter="tool_search_call", most=6,
                note=_("OpenAI looks for tools: their tokens"), **calls)  # fmt: skip
    counters = {
        "image_gen.input_text": ("5", _("gpt-image-1 reads text: 5 dollars a million tokens")),
        "image_gen.input_image": (
            "10",
            _("gpt-image-1 reads images: 10 dollars a million tokens"),
        ),
        "image_gen.output_text": ("10", _("gpt-image-1 writes text: 10 dollars a million tokens")),
        "image_gen.output_image": ("40", _("gpt-image-1 draws: 40 dollars a million tokens")),
    }
    yield Feature(kind=Kind.TOOL, name="image_generation", pricing=Pricing.TOKENS, most_calls=2,
                  meter=",".join(counters), note=_("OpenAI draws"), **calls)  # fmt: skip
    for name, (a_million, note) in counters.items():
        yield Feature(kind=Kind.COUNTER, name=name, meter=name, most_calls=_IMAGE_TOKENS,
                      pricing=Pricing.PER_CALL, amount=nanos(a_million) // 1_000_000,
                      note=note, **to)  # fmt: skip
    yield Feature(kind=Kind.BLOCK, name="compaction_*", pricing=Pricing.INCLUDED,
                  note=_("a long conversation is summarised"), **to)  # fmt: skip
    yield from _tiers()


def _tiers() -> Iterator[Feature]:
    tier: dict[str, Any] = {"kind": Kind.VALUE, "pricing": Pricing.FACTOR, "meter": "service_tier"}
    to = tier | {"dialect": Dialect.OPENAI_RESPONSES}
    yield Feature(name="service_tier=flex", factor=5_000, only_models=_FLEX,
                  note=_("slower, at half the price"), **to)  # fmt: skip
    for model, factor in _PRIORITY:
        yield Feature(name="service_tier=priority", factor=factor, only_models=model,
                      note=_("faster"), **to)  # fmt: skip
    for model, factor in _PRIORITY_OF_CHAT:
        yield Feature(name="service_tier=priority", factor=factor, only_models=model,
                      note=_("faster"), **tier, dialect=Dialect.OPENAI_CHAT)  # fmt: skip


def _gemini() -> Iterator[Feature]:
    yield _call(Dialect.GEMINI, "codeExecution", "0", "code_runs", 5,
                note=_("Gemini runs code: its tokens"))  # fmt: skip
    newer = "gemini-3-flash-preview,gemini-3.1-pro-preview"
    yield _call(Dialect.GEMINI, "googleSearch", "0.035", "grounded_prompts", 1,
                only_models="gemini-2.5-pro", note=_("Gemini searches the web"))  # fmt: skip
    yield _call(Dialect.GEMINI, "googleSearch", "0.014", "search_queries", 10,
                only_models=newer, note=_("Gemini searches the web, by the search"))  # fmt: skip


def _ours() -> Iterator[Feature]:
    """Where a vendor does not; off until there is a search provider. A search costs us about half
    of that at Brave."""
    uses = {"bound": "tools.max_uses"}
    yield _call(OURS, "web_search", "0.01", "hontoni_web_search_requests", 8,
                note=_("we search the web, for models whose vendor does not"), **uses)  # fmt: skip
    yield _call(OURS, "web_fetch", "0.001", "hontoni_web_fetch_requests", 8,
                note=_("we read web pages, for models whose vendor does not"), **uses)  # fmt: skip


def _sounds() -> Iterator[Feature]:
    """A token of sound, beside the price of one of text: nothing at most of Google's."""
    for amount, only in (
        (0, "gemini-2.5-pro,gemini-3.1-pro-preview"),
        (150, "gemini-3-flash-preview"),
    ):
        yield Feature(dialect=Dialect.GEMINI, kind=Kind.COUNTER, name="audio.input",
                      meter="audio.input", most_calls=1_000_000, pricing=Pricing.PER_CALL,
                      amount=amount, only_models=only,
                      note=_("Gemini hears: a token, beside one of text"))  # fmt: skip


def rows() -> Iterator[Feature]:
    """All of them."""
    for dialect, kinds in _FREE.items():
        for kind, names in kinds.items():
            for name in names.split():
                yield Feature(dialect=dialect, kind=kind, name=name)
    yield from _claude()
    yield from _openai()
    yield from _gemini()
    yield from _sounds()
    yield from _ours()


def seed() -> None:
    """Create the rows that are missing, and bound those whose first seed had no bound."""
    Feature.objects.bulk_create(rows(), ignore_conflicts=True)
    bounded = {(row.dialect, row.name): row for row in rows() if row.name in _UNBOUNDED}
    for (dialect, name), row in bounded.items():
        untouched = {
            "pricing": _UNBOUNDED[name],
            "bound": "",
            "most_calls__lte": 2,
            "only_models": "",
        }
        Feature.objects.filter(dialect=dialect, kind=Kind.TOOL, name=name, **untouched).update(
            **{field: getattr(row, field) for field in _BOUNDING}
        )
