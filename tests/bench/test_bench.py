"""The benchmark's pieces do what its tables claim of them. No timing decides anything here."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import httpx
import openai
import pytest

from bench import cost, load, report, servers, traffic
from bench.load import Failed, Generator, Job, Result
from bench.measure import CLIENTS, Row
from bench.product import product
from bench.servers import Server
from bench.vendor import Chat, Stream

DIALECTS = (traffic.CHAT, traffic.MESSAGES, traffic.CHAT_TO_CLAUDE, traffic.MESSAGES_TO_GPT)
PROMPT: Any = [{"role": "user", "content": "Three, please. [[chunks: 3]]"}]


@pytest.fixture(scope="module")
def vendor() -> Iterator[Server]:
    with servers.vendor() as server:
        yield server


@pytest.fixture(scope="module")
def bare(vendor: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.bare(vendor.port, tmp_path_factory.mktemp("bare")) as server:
        yield server


@pytest.fixture(params=["direct", "through the baseline"])
def url(request: pytest.FixtureRequest, vendor: Server, bare: Server) -> str:
    server = vendor if request.param == "direct" else bare
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    with Generator() as running:
        yield running


def job(server: Server, **fields: Any) -> Job:
    body = traffic.body(traffic.CHAT, stream="each" in fields, chunks=3)
    return Job(**{"port": server.port, "path": traffic.CHAT.path, "body": body, **fields})


def test_it_answers_openai_sdk(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any") as client:
        reply = client.chat.completions.create(model="gpt-4o", messages=PROMPT)
    assert reply.choices[0].message.content == "word " * 40
    assert reply.usage and reply.usage.completion_tokens == 40


def test_it_streams_to_openai_sdk(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any") as client:
        stream = client.chat.completions.create(
            model="gpt-4o", messages=PROMPT, stream=True, stream_options={"include_usage": True}
        )
        events = list(stream)
    said = [e.choices[0].delta.content for e in events if e.choices and e.choices[0].delta.content]
    assert said == ["word0 ", "word1 ", "word2 "]
    assert events[-1].usage and events[-1].usage.completion_tokens == 3


def test_it_answers_anthropic_sdk(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="any") as client:
        reply = client.messages.create(model="claude-sonnet-4.5", max_tokens=64, messages=PROMPT)
    assert reply.content[0].type == "text" and reply.content[0].text == "word " * 40
    assert reply.usage.output_tokens == 40


def test_it_streams_to_anthropic_sdk(url: str) -> None:
    with (
        anthropic.Anthropic(base_url=url, api_key="any") as client,
        client.messages.stream(
            model="claude-sonnet-4.5", max_tokens=64, messages=PROMPT
        ) as stream,
    ):
        assert list(stream.text_stream) == ["word0 ", "word1 ", "word2 "]
        assert stream.get_final_message().usage.output_tokens == 3


def test_usage_ends_a_stream_only_where_it_was_asked_for(vendor: Server) -> None:
    url = f"http://127.0.0.1:{vendor.port}/v1/chat/completions"
    text = httpx.post(url, content=traffic.body(traffic.CHAT, stream=True, chunks=2)).text
    assert '"usage"' not in text
    assert text.endswith("data: [DONE]\n\n")


async def test_every_chunk_is_a_write_of_its_own() -> None:
    wire: asyncio.Queue[bytes] = asyncio.Queue()
    transport: Any = SimpleNamespace(write=wire.put_nowait)
    dialect = Chat()
    Stream(transport, dialect, chunks=6, pace=0.001, usage_wanted=True).start()
    writes = [await wire.get() for _ in range(8)]
    assert writes[1:7] == dialect.chunks[:6]
    assert len(set(writes)) == 8


def test_a_stream_that_lost_a_chunk_is_a_failure(generator: Generator, vendor: Server) -> None:
    assert generator.run(job(vendor, each=1, chunks=3)).errors == 0
    with pytest.raises(Failed, match="not all of 4 chunks arrived"):
        generator.run(job(vendor, each=1, chunks=4))


def test_requests_go_round_among_the_keys() -> None:
    one, two = load.Job(port=1, path="/", body="{}", keys=("a", "b")).requests()
    assert b"authorization: Bearer a\r\n" in one
    assert b"authorization: Bearer b\r\n" in two


def test_the_vendor_has_no_other_path(vendor: Server) -> None:
    assert httpx.post(f"http://127.0.0.1:{vendor.port}/v1/nothing").status_code == 404


def test_clients_count_requests_and_events(generator: Generator, bare: Server) -> None:
    result = generator.run(job(bare, clients=4, each=5))
    assert result.requests == 20
    assert result.events == 20 * (1 + 3 + 1 + 1)  # role, words, stop, [DONE]
    assert result.errors == 0


def test_clients_ask_until_the_time_is_up(generator: Generator, vendor: Server) -> None:
    result = generator.run(job(vendor, clients=2, seconds=0.1))
    assert result.requests >= 2
    assert result.seconds >= 0.1
    assert 0 < result.p50 <= result.p99


def test_an_event_cut_in_two_is_one_event() -> None:
    text = b"data: 1\n\ndata: 2\n\n"
    for cut in range(len(text) + 1):
        frames = load.Frames()
        assert frames.feed(text[:cut]) + frames.feed(text[cut:]) == 2


def test_clients_hang_up_when_all_streams_are_open(generator: Generator, vendor: Server) -> None:
    body = traffic.body(traffic.CHAT, stream=True, chunks=1, pace=600_000)
    result = generator.run(job(vendor, body=body, clients=5, hold=True, pids=(os.getpid(),)))
    assert (result.requests, result.errors) == (0, 0)
    assert len(result.grown) == 1


def test_a_refusal_is_a_failure_with_its_reason(generator: Generator, vendor: Server) -> None:
    with pytest.raises(Failed, match="404: .*no such path"):
        generator.run(job(vendor, path="/nothing", each=1))


def test_a_process_is_asked_for_what_it_used() -> None:
    before = cost.cpu_seconds(os.getpid())
    while time.process_time() < before + 0.02:
        pass
    assert cost.cpu_seconds(os.getpid()) >= before + 0.01
    assert cost.resident_bytes(os.getpid()) > 1024 * 1024
    assert os.getpid() in cost.family(os.getppid())


def test_a_process_that_is_gone_is_an_error() -> None:
    for read in (cost.cpu_seconds, cost.resident_bytes, cost.command_line):
        with pytest.raises(ProcessLookupError):
            read(2**22 + 1)  # more than Linux or macOS ever number


def result(cpu: float, p50: float) -> Result:
    same = {"requests": 100, "events": 4000, "reads": 1, "bytes": 1, "seconds": 0.5}
    times = {"p50": p50, "p99": p50 * 2, "first_p50": p50, "first_p99": p50}
    return Result(**same, **times, cpu=(cpu, cpu / 2), grown=(0, 0), errors=0, error="")  # type: ignore[arg-type]


def row(name: str, cpu: float, p50: float) -> Row:
    server = Server(name, port=1, pids=(1,), beside={"Valkey": 2})
    filled = Row(name, server, per_chunk=[cpu / 1000] * 2, held_bytes=2048)
    for clients in CLIENTS:
        filled.unary[clients] = filled.streamed[clients] = [result(cpu, p50)] * 2
    return filled


def test_the_product_is_measured_with_everything_on(
    generator: Generator, vendor: Server, tmp_path: Path
) -> None:
    """Started as `make run` starts it: whoever it does not know, it refuses."""
    with product(vendor.port, tmp_path) as installed:
        server = installed.server
        for dialect in DIALECTS:
            for body in (traffic.body(dialect), traffic.body(dialect, stream=True, chunks=3)):
                asked = {"path": dialect.path, "body": body, "headers": dict(server.headers)}
                result = generator.run(job(server, **asked, clients=2, each=2))
                assert result.requests == 4
        assert set(server.beside) == {"Valkey", "settlement", "worker"}
        with pytest.raises(Failed, match="401: "):
            generator.run(job(server, each=1))


def test_the_tables_say_what_was_measured() -> None:
    direct, bare = row("direct", 0.001, 0.001), row("bare", 0.010, 0.002)
    product = row("Hontoni", 0.020, 0.0035)
    unary, streamed = report.tables([direct, bare, product], ["nginx"]).split("\n\n")
    assert "| bare | 100 · 100 · 100 | 200 · 200 · 200 | 1.00 · 1.00 · 1.00 |" in unary
    assert "| direct | 10 · 10 · 10 | 200 · 200 · 200 | 1.00 · 1.00 · 1.00 |" in unary
    assert "| Hontoni | 20.0 | 8,000 · 8,000 · 8,000 | 2.50 · 2.50 · 2.50 |" in streamed
    assert "| nginx | not installed |" in unary
    assert "**unary 2.00 ×** at 64" in report.ratios(product, bare)
    assert "**chunk 2.00 ×**" in report.ratios(product, bare)
    assert "Valkey 100 µs" in report.beside(product)


def test_what_fails_says_so_in_its_row() -> None:
    peer = row("peer", 1.0, 1.0)
    peer.failures["streamed"] = "500: no"
    unary, streamed = report.tables([row("direct", 1.0, 1.0), peer], []).split("\n\n")
    assert "| peer | fails |" in streamed
    assert "fails" not in unary
    assert report.failures([peer]) == ["peer, streamed: 500: no"]


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = ["sh", "-c", "echo no luck; exit 1"]
    with (
        servers.running(command, log=log) as process,
        pytest.raises(RuntimeError, match="no luck"),
    ):
        servers.listening(process, servers.free_port(), log)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_request_is_about_a_kilobyte(dialect: traffic.Dialect) -> None:
    body = traffic.body(dialect)
    assert 700 < len(body) < 1400
    assert json.loads(body)["model"] == dialect.model


def test_a_translated_chunk_is_compared_with_the_same_clients_own() -> None:
    chat, other = row("Hontoni chat", 0.010, 1.0), row("Hontoni chat → Claude", 0.025, 1.0)
    told = report.translated([(other, chat), (chat, other)])
    assert "**chat → Claude 2.50 ×**, **chat 0.40 ×** (goal 3 ×)" in told
