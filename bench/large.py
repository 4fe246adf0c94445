"""`python -m bench.large`: what others notice of one request of 300,000 messages, as Markdown.

The request (25 MB, a chat for Claude, so all of it is read and translated) goes to the running
product, and meanwhile /healthz is asked every few milliseconds: it is answered by the event loop
that serves everybody, so its slowest answer is the loop's longest stall. It is measured with the
processes that large requests are prepared in, and without them.
"""

import argparse
import http.client
import json
import os
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from bench import cost, report, servers
from bench.product import product

MESSAGES, TEXT = 300_000, "x" * 45
EVERY_SECONDS = 0.005
STALL_GOAL = 50  # ms
MB = 1024 * 1024


class Probe(threading.Thread):
    """Asks /healthz over one connection; `times` are how long each answer took."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.times, self.over = port, list[float](), threading.Event()
        self.start()

    def run(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        while not self.over.wait(EVERY_SECONDS):
            began = time.perf_counter()
            line.request("GET", "/healthz")
            line.getresponse().read()
            self.times.append(time.perf_counter() - began)

    def stop(self) -> list[float]:
        self.over.set()
        self.join()
        return sorted(self.times)


def _body(messages: int) -> bytes:
    said = [{"role": ("user", "assistant")[n % 2], "content": TEXT} for n in range(messages - 1)]
    said.append({"role": "user", "content": TEXT})
    return json.dumps({"model": "claude-sonnet-4", "max_tokens": 16, "messages": said}).encode()


def _ask(port: int, key: str, body: bytes) -> tuple[int, float]:
    """Status and seconds."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    began = time.perf_counter()
    headers = {"authorization": key, "content-type": "application/json"}
    line.request("POST", "/v1/chat/completions", body, headers)
    answer = line.getresponse()
    answer.read()
    return answer.status, time.perf_counter() - began


def _row(name: str, preparers: int, messages: int) -> str:
    os.environ["PREPARERS"] = str(preparers)
    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        vendor = stack.enter_context(servers.vendor())
        server = stack.enter_context(product(vendor.port, Path(folder))).server
        key, pid = server.headers["authorization"], server.pids[0]
        _ask(server.port, key, _body(5_000))  # warm: its process is there
        quiet = Probe(server.port)
        time.sleep(2)
        before, idle = cost.resident_bytes(pid), quiet.stop()
        probe = Probe(server.port)
        status, seconds = _ask(server.port, key, _body(messages))
        stalls = probe.stop()
        time.sleep(1)
        after = cost.resident_bytes(pid)
    return (
        f"| {name} | {status} | {seconds:.1f} | {stalls[len(stalls) * 99 // 100] * 1000:.1f} "
        f"| **{stalls[-1] * 1000:.0f}** | {idle[-1] * 1000:.0f} "
        f"| {(after - before) / MB:+.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.large", description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    messages = parser.parse_args().messages
    load_before = os.getloadavg()[0]
    lines = [
        f"| {messages:,} messages | status | s | others p99, ms | worst, ms | worst of an idle "
        "gateway, ms | memory kept, MiB |",
        "| --- | --: | --: | --: | --: | --: | --: |",
        _row("in a process beside", 1, messages),
        _row("in the gateway", 0, messages),
    ]
    print("\n".join(lines))
    print(f"\nGoal: nobody waits for more than {STALL_GOAL} ms.\n\n{report.machine(load_before)}")


if __name__ == "__main__":
    main()
