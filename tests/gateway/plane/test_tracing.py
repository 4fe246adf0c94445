"""Traces: a client's trace goes through us to the vendor, and a collector hears of both."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pytest_django.fixtures import Settings

from gateway.plane import tracing
from sandbox.vendors.faults import Fault
from tests.gateway_server import CHAT, Gateway, fund
from tests.world import Person

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = f"00-{TRACE}-{PARENT}-01"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}


class Collector:
    """What speaks OTLP, and the spans it was told."""

    def __init__(self, server: ThreadingHTTPServer, spans: list[Any]) -> None:
        self.server, self._spans = server, spans
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    def spans(self) -> list[Any]:
        """All of them, the oldest first. Tracing is over then."""
        tracing.stop()
        return sorted(self._spans, key=lambda span: int(span.start_time_unix_nano))


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


@pytest.fixture
def collector(gateway: Gateway, settings: Settings) -> Iterator[Collector]:
    spans: list[Any] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard = ExportTraceServiceRequest()
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            heard.ParseFromString(body)
            for resource in heard.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found = Collector(server, spans)
    settings.OTLP_ENDPOINT = found.url
    tracing.start()
    yield found
    tracing.stop()
    server.shutdown()
    server.server_close()
    thread.join(5)


def ask(gateway: Gateway, person: Person, **headers: str) -> Any:
    with gateway.http(person) as client:
        return client.post(CHAT, json=BODY, headers=headers)


def test_a_clients_trace_reaches_the_vendor_and_the_collector(
    gateway: Gateway, collector: Collector, alice: Person
) -> None:
    fund(alice, "10")
    answer = ask(gateway, alice, traceparent=SENT)
    to_vendor = gateway.vendors.last.headers["traceparent"]
    (event,) = gateway.books()
    server, client = collector.spans()
    assert (server.trace_id.hex(), server.parent_span_id.hex()) == (TRACE, PARENT)
    assert client.parent_span_id == server.span_id
    assert to_vendor == f"00-{TRACE}-{client.span_id.hex()}-01"
    told = attributes(server)
    assert told["hontoni.request.id"] == answer.headers["x-request-id"]
    assert told["hontoni.cost.nano_dollars"] == event.cost > 0
    told = attributes(client)
    assert client.name == "chat gpt-4o"
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.usage.output_tokens"] == event.output + event.reasoning


@pytest.mark.outside_the_law("the vendor fails")
def test_what_failed_is_told_by_its_kind(
    gateway: Gateway, collector: Collector, alice: Person
) -> None:
    fund(alice, "10")
    gateway.vendors.faults.append(Fault(status=500))
    answer = ask(gateway, alice)
    server, client = collector.spans()
    assert attributes(client)["http.response.status_code"] == 500
    assert attributes(server)["http.response.status_code"] == answer.status_code
    assert attributes(server)["error.type"] == answer.json()["error"]["code"]


def test_what_was_refused_has_a_span_and_no_vendors(
    gateway: Gateway, collector: Collector, alice: Person
) -> None:
    assert ask(gateway, alice).status_code == 402
    (server,) = collector.spans()
    assert attributes(server)["error.type"] == "insufficient_balance"


@pytest.mark.parametrize(
    ("sent", "passed"), [(SENT, SENT), ("00-evil\u00e9", None), (SENT.replace("-01", "-0z"), None)]
)
def test_off_a_clients_trace_is_passed_on_as_it_came(
    gateway: Gateway, alice: Person, sent: str, passed: str | None
) -> None:
    fund(alice, "10")
    assert ask(gateway, alice, traceparent=sent.encode("latin-1")).status_code == 200  # type: ignore[arg-type]
    assert gateway.vendors.last.headers.get("traceparent") == passed
