"""Customers who ask the running product again and again; proof of what they were charged."""

import threading
from collections import Counter
from collections.abc import Sequence
from itertools import cycle

import httpx

from tests.product import Product
from tests.waiting import until

_END = "data: [DONE]\n\n"
HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}


class Customer(threading.Thread):
    """One who asks every `pace` seconds, three times in five for a stream, and counts what is
    answered."""

    def __init__(self, product: Product, key: str, pace: float = 0.1) -> None:
        super().__init__(daemon=True)
        self.pace = pace
        self.answers: Counter[int] = Counter()
        self.turns = cycle((True, False, True, False, True))
        self.done = threading.Event()
        self.http = httpx.Client(
            base_url=product.url, headers={"authorization": f"Bearer {key}"}, timeout=60
        )
        self.start()

    def run(self) -> None:
        with self.http:
            while not self.done.is_set():
                self.answers[self._ask()] += 1
                self.done.wait(self.pace)

    def _ask(self) -> int:
        """The status of one request; 0 where nobody answers it, or not to the end."""
        streams = next(self.turns)
        try:
            answer = self.http.post("/v1/chat/completions", json={**HELLO, "stream": streams})
        except httpx.HTTPError:
            return 0
        if streams and answer.status_code == 200 and not answer.text.endswith(_END):
            return 0
        told = answer.status_code != 503 or "retry-after" in answer.headers
        return answer.status_code if told else -1

    def served(self, more: int) -> None:
        """Wait for so many more answers."""
        goal = self.answers[200] + more
        until(lambda: self.answers[200] >= goal, f"no answers any more: {self.answers}")

    def stop(self) -> None:
        """Ask no more."""
        self.done.set()
        self.join(90)


def exact(product: Product, customers: Sequence[Customer]) -> None:
    """What was served is in the books, once, and was charged to who was served."""
    for customer in customers:
        customer.stop()
    product.terminate()
    receipts = product.receipts()
    charged = {row["user_id"]: 0 for row in receipts}
    for row in receipts:
        charged[row["user_id"]] += row["cost"]
    assert sum(row["status"] == 200 for row in receipts) == sum(
        customer.answers[200] for customer in customers
    )
    wallets = product.rows("SELECT user_id, settled_total FROM billing_wallet")
    assert {row["user_id"]: row["settled_total"] for row in wallets} == charged
    assert b"The books balance" in product.manage("reconcile")
