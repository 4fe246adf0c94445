"""`WEB_CONCURRENCY=2`: two processes behind one port, and everything is as exact as with one."""

import json
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from hontoni.supervisor import _commands
from hontoni.valkey import Valkey
from tests.product import Product
from tests.traffic import HELLO
from tests.waiting import until

LIMIT, CLIENTS, EACH = 12, 8, 4
LOWER = f"from billing.models import Plan; Plan.objects.update(five_hours={LIMIT}, concurrent=4)"

pytestmark = pytest.mark.timeout(600)


class Doubled(Product):
    """As the supervisor starts it."""

    def command(self, name: str) -> list[str]:
        return _commands("127.0.0.1", self.port, str(self.home), web_processes=2)[name]

    def run(self, name: str, **settings: str) -> subprocess.Popen[bytes]:
        return super().run(name, CONCURRENCY_WAIT_SECONDS="60", **settings)


def test_limits_and_money_are_exact_with_two_web_processes(tmp_path: Path) -> None:
    """Whichever process a connection leads to: of all requests as many are served as the limit
    says, at most four at once, and each is charged once."""
    with Valkey(tmp_path / "valkey", tmp_path / "own.sock") as valkey:
        product = Doubled(tmp_path, REDIS_URL=f"unix://{valkey.socket}")
        try:
            product.manage("shell", "-v", "0", "-c", LOWER)
            bob = product.manage(
                *["createcustomer", "bob@x.example", "--plan", "ultimate", "--json"],
                *["--credit", "5", "--key", "laptop"],
            )
            product.key = json.loads(bob)["key"]
            product.start()
            until(lambda: len(product.rows("SELECT * FROM gateway_node")) == 2, "one is missing")
            with ThreadPoolExecutor(CLIENTS) as clients:
                answers = sum(clients.map(_requests, [product] * CLIENTS), Counter())
            product.terminate()
        finally:
            product.stop()
        assert answers == {200: LIMIT, 429: CLIENTS * EACH - LIMIT}
        receipts = product.receipts()
        assert [row["status"] for row in receipts] == [200] * LIMIT
        wallets = product.rows("SELECT * FROM billing_wallet WHERE settled_total > 0")
        costs = sum(row["cost"] for row in receipts)
        assert [wallet["settled_total"] for wallet in wallets] == [costs]
        assert b"The books balance" in product.manage("reconcile")


def _requests(product: Product) -> Counter[int]:
    """Each over a connection of its own, so that either process may get it."""
    found: Counter[int] = Counter()
    for _ in range(EACH):
        with httpx.Client(base_url=product.url, timeout=120) as http:
            headers = {"authorization": f"Bearer {product.key}"}
            answer = http.post("/v1/chat/completions", json=HELLO, headers=headers)
            found[answer.status_code] += 1
    return found
