"""Many at once, and many one after the other: everybody is answered, and memory comes back."""

import asyncio
import json
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from bench.cost import resident_bytes
from tests.product import Product
from tests.traffic import HELLO

pytestmark = pytest.mark.timeout(600)
STREAMS, IDLE = 100, 200
FIRST, MORE = 300, 700
MOST_GROWTH = 24 * 1024 * 1024
UNLIMITED = """
from billing.models import Plan
Plan.objects.update(**{name: 100_000 for name in Plan.LIMITS})
"""
CHAT = "/v1/chat/completions"


def test_a_crowd_is_answered_and_memory_stays(tmp_path: Path) -> None:
    product = Product(tmp_path)
    product.manage("shell", "-v", "0", "-c", UNLIMITED)
    try:
        product.start()
        asyncio.run(_crowd(product))
        asyncio.run(_ask(product, FIRST))
        before = resident_bytes(product.process.pid)
        asyncio.run(_ask(product, MORE))
        grown = resident_bytes(product.process.pid) - before
        product.terminate()
    finally:
        product.stop()
    assert grown < MOST_GROWTH
    receipts = product.receipts()
    assert [row["status"] for row in receipts] == [200] * (STREAMS + FIRST + MORE)
    assert b"The books balance" in product.manage("reconcile")


async def _crowd(product: Product) -> None:
    """Connections that say nothing, and streams that all run at once."""
    with ExitStack() as idle:
        for _ in range(IDLE):
            idle.enter_context(socket.create_connection(("127.0.0.1", product.port)))
        text = "[[slow: 0.05]] [[say: " + "one two " * 20 + "]]"
        body = {**HELLO, "messages": [{"role": "user", "content": text}], "stream": True}
        async with _client(product) as http:
            answers = await asyncio.gather(*(http.post(CHAT, json=body) for _ in range(STREAMS)))
    assert all(answer.text.endswith("data: [DONE]\n\n") for answer in answers)


async def _ask(product: Product, count: int) -> None:
    """So many, eight at a time."""
    left = iter(range(count))
    async with _client(product) as http:

        async def one_after_the_other() -> None:
            for _ in left:
                answer = await http.post(CHAT, content=json.dumps(HELLO))
                assert answer.status_code == 200, answer.text

        await asyncio.gather(*(one_after_the_other() for _ in range(8)))


def _client(product: Product) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {product.key}", "content-type": "application/json"}
    limits = httpx.Limits(max_connections=STREAMS)
    return httpx.AsyncClient(base_url=product.url, headers=headers, timeout=120, limits=limits)
