"""SIGTERM to a real uvicorn: red first, then time to finish, then an error in each dialect."""

import signal
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.product import Product
from tests.waiting import until

SLOWLY = "[[slow: 0.1]] [[say: {}]]"
DIALECTS = {
    "/v1/chat/completions": ("gpt-4o", b'"error"'),
    "/v1/messages": ("claude-sonnet-4-6", b"event: error"),
    "/v1/responses": ("gpt-4o", b"response.failed"),
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, _valkey: None) -> Product:
    return Product(tmp_path_factory.mktemp("stopping"))


@pytest.fixture
def product(installed: Product) -> Iterator[Product]:
    yield installed
    installed.stop()


class Stream(threading.Thread):
    """A customer who reads to the end."""

    def __init__(self, product: Product, path: str, model: str, words: int = 600) -> None:
        super().__init__()
        self.begun, self.read = threading.Event(), b""
        self.body = {"model": model, "stream": True, "max_tokens": 2000}
        text = SLOWLY.format("one " * words)
        said = [{"role": "user", "content": text}]
        self.body |= {"input": text} if path == "/v1/responses" else {"messages": said}
        if path == "/v1/responses":
            self.body["max_output_tokens"] = self.body.pop("max_tokens")
        self.path, self.product = path, product
        self.start()
        assert self.begun.wait(60), self.read

    def run(self) -> None:
        headers = {"authorization": f"Bearer {self.product.key}"}
        with httpx.stream(
            "POST", self.product.url + self.path, json=self.body, headers=headers, timeout=60
        ) as answer:
            for chunk in answer.iter_bytes():
                self.read += chunk
                if b"one" in self.read or answer.status_code != 200:
                    self.begun.set()


def test_what_is_cut_ends_with_an_error_in_its_dialect_and_a_receipt_that_says_so(
    product: Product,
) -> None:
    product.start(STOP_STREAM_SECONDS="1")
    streams = [Stream(product, path, model) for path, (model, _) in DIALECTS.items()]
    product.process.send_signal(signal.SIGTERM)
    for stream in streams:
        stream.join(60)
        _, error = DIALECTS[stream.path]
        assert error in stream.read
        assert b"The gateway is restarting" in stream.read
    product.process.wait(60)
    receipts = product.receipts()
    assert [(r["status"], r["error"]) for r in receipts] == [(503, "server_stopping")] * 3
    assert all(receipt["output"] > 0 and receipt["cost"] > 0 for receipt in receipts)
    assert b"The books balance" in product.manage("reconcile")


def test_readiness_is_red_while_requests_are_served_and_streams_finish(product: Product) -> None:
    product.start(STOP_NOTICE_SECONDS="3", STOP_STREAM_SECONDS="600")
    stream = Stream(product, "/v1/chat/completions", "gpt-4o", words=60)
    before = len(product.receipts())
    product.process.send_signal(signal.SIGTERM)
    until(lambda: product.status() == 503, "it did not turn red")
    headers = {"authorization": f"Bearer {product.key}"}
    hello = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
    served = httpx.post(f"{product.url}/v1/chat/completions", json=hello, headers=headers)
    assert served.status_code == 200
    stream.join(90)
    assert stream.read.endswith(b"data: [DONE]\n\n")
    product.process.wait(60)
    assert [r["error"] for r in product.receipts()[before:]] == ["", ""]


def test_a_second_signal_skips_the_notice(product: Product) -> None:
    product.start(STOP_NOTICE_SECONDS="600")
    product.process.send_signal(signal.SIGTERM)
    until(lambda: product.status() == 503, "it did not turn red")
    product.process.send_signal(signal.SIGTERM)
    product.process.wait(60)
