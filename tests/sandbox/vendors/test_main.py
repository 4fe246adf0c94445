"""The sandbox as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

BODY: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[say: hi]]"}]}


@pytest.fixture
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "sandbox.vendors", "--port", "0", "--key", "k", "--control"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


def test_it_prints_where_it_is_and_can_be_asked_what_it_got(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        fault = {"status": 503, "body": "{}", "headers": {"retry-after": "7"}}
        assert client.post("/__sandbox/faults", json=fault).json() == {"queued": 1}
        for status in (503, 200, 401):
            key = "k" if status != 401 else "wrong"
            headers = {"authorization": f"Bearer {key}"}
            reply = client.post("/v1/chat/completions", json=BODY, headers=headers)
            assert reply.status_code == status
        kept = client.get("/__sandbox/requests", params={"since": 1}).json()
        assert [(r["status"], r["body"]) for r in kept] == [(200, BODY), (401, BODY)]
        (billed,) = client.get("/__meter").json()
        assert (billed["model"], billed["lines"][0]["tokens"]["output"]) == ("gpt-4o", 1)
        client.post("/__sandbox/reset")
        assert client.get("/__sandbox/requests").json() == []
