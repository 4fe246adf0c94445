"""Traces by OpenTelemetry: a span for each request, and one below it for each vendor asked.

Off (`OTLP_ENDPOINT`) nothing of OpenTelemetry is loaded, and a client's `traceparent` is passed on
to the vendor as it came. On, it is the parent of our span, which is the parent of the vendor's.
Names and attributes are those of the GenAI semantic conventions; nothing of a prompt or an answer
is told.
"""

import re
import time
from typing import TYPE_CHECKING, Any

from django.conf import settings

from gateway.plane.call import Call

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"
_VALID = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_NANO = 1_000_000_000
_PROVIDERS = {"google": "gcp.gemini"}  # where the convention has another word than the catalogue


class Tracing:
    """Of this process."""

    on = False
    provider: "TracerProvider | None" = None
    tracer: "Tracer | None" = None


class Trace:
    """The spans of one request."""

    __slots__ = ("attempts", "span")

    def __init__(self, span: "Span") -> None:
        self.span = span
        self.attempts: list[tuple[Span, float]] = []  # and when it began, in epoch seconds


def start() -> None:
    """Trace from now on, if there is somebody to tell."""
    if not settings.OTLP_ENDPOINT:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    provider = TracerProvider(
        resource=Resource.create({"service.name": "hontoni"}),
        sampler=ParentBasedTraceIdRatio(settings.TRACE_SHARE),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(f"{settings.OTLP_ENDPOINT.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    Tracing.provider, Tracing.tracer = provider, provider.get_tracer("hontoni")
    Tracing.on = True


def stop() -> None:
    """Send what is left. Blocks for a few seconds at most."""
    Tracing.on = False
    if Tracing.provider is not None:
        Tracing.provider.force_flush(5_000)
        Tracing.provider.shutdown()
    Tracing.provider = Tracing.tracer = None


def begin(call: Call) -> None:
    """A request is understood."""
    from opentelemetry.trace import SpanKind

    assert Tracing.tracer is not None
    attributes = {
        "http.request.method": "POST",
        "url.path": call.http.scope["path"],
        "hontoni.request.id": call.id,
        "hontoni.account.id": call.caller.account,
        "hontoni.key.id": call.caller.key_id,
        **_request(call),
    }
    span = Tracing.tracer.start_span(
        f"POST {call.http.scope['path']}",
        context=_parent(call),
        kind=SpanKind.SERVER,
        attributes=attributes,
        start_time=int(call.began * _NANO),
    )
    call.trace = Trace(span)


def _request(call: Call) -> dict[str, str]:
    vendor = call.model.vendor
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(vendor, vendor),
        "gen_ai.request.model": call.request.name,
    }


def _parent(call: Call) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    sent = {
        name.decode(): call.http.headers[name].decode("latin-1")
        for name in (TRACEPARENT, TRACESTATE)
        if name in call.http.headers
    }
    return TraceContextTextMapPropagator().extract(sent)


def passed_on(call: Call) -> dict[bytes, bytes]:
    """The headers that tell a vendor which trace this belongs to; none if nobody traces it."""
    if isinstance(call.trace, Trace):
        return {TRACEPARENT: _ask(call, call.trace)}
    sent = call.http.headers.get(TRACEPARENT, b"")
    return {TRACEPARENT: sent} if _VALID.fullmatch(sent) else {}


def _ask(call: Call, trace: Trace) -> bytes:
    """A vendor is asked now."""
    from opentelemetry.trace import SpanKind, set_span_in_context

    assert Tracing.tracer is not None
    began, route = time.time(), call.attempts[-1].route
    span = Tracing.tracer.start_span(
        f"chat {call.request.name}",
        context=set_span_in_context(trace.span),
        kind=SpanKind.CLIENT,
        attributes={
            **_request(call),
            "server.address": route.access.origin.host,
            "hontoni.credential": route.access.label,
        },
        start_time=int(began * _NANO),
    )
    trace.attempts.append((span, began))
    context = span.get_span_context()
    flags = int(context.trace_flags)
    return b"00-%032x-%016x-%02x" % (context.trace_id, context.span_id, flags)


def end(call: Call) -> None:
    """It is over, or refused. Said twice, the second time is nothing."""
    trace, call.trace = call.trace, None
    if not isinstance(trace, Trace):
        return
    for (span, began), attempt in zip(trace.attempts, call.attempts, strict=False):
        given = attempt.as_dict()
        if attempt is call.attempts[-1]:
            span.set_attributes(_usage(call))
        if attempt.status is not None:
            span.set_attribute("http.response.status_code", attempt.status)
        if attempt.error:
            _failed(span, attempt.error)
        span.end(int((began + given["ms"] / 1000) * _NANO))
    span = trace.span
    span.set_attributes({**_usage(call), "hontoni.cost.nano_dollars": call.cost})
    span.set_attribute("http.response.status_code", call.status)
    if call.error:
        _failed(span, call.error)
    span.end()


def _usage(call: Call) -> dict[str, int]:
    usage = call.usage
    if usage is None:
        return {}
    return {
        "gen_ai.usage.input_tokens": usage.input + sum(usage[1:4]),
        "gen_ai.usage.output_tokens": usage.output + usage.reasoning,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_5m + usage.cache_write_1h,
    }


def _failed(span: "Span", error: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", error)
    span.set_status(Status(StatusCode.ERROR, error))
