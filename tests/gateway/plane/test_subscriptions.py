"""What a customer buys, as the gateway sees it: with the very next request."""

from typing import Any

import pytest

from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.both_databases


def buy(person: Person, path: str, **body: Any) -> Any:
    return person.client().post(f"/api/{path}", body, format="json")


def windows(answer: Any) -> tuple[int, int, int, int]:
    """Limit and remaining of a minute and of a day."""
    names = ("limit-rpm", "remaining-rpm", "limit-daily", "remaining-daily")
    one, two, three, four = (int(answer.headers[f"x-ratelimit-{name}"]) for name in names)
    return one, two, three, four


def test_new_limits_bind_at_once_and_usage_is_kept(gateway: Gateway, alice: Person) -> None:
    fund(alice, "100")
    assert windows(gateway.chat(alice)) == (8, 7, 50, 49)
    assert buy(alice, "subscription", plan="standard").status_code == 201
    assert windows(gateway.chat(alice)) == (12, 10, 250, 248)
    assert buy(alice, "addons", add_on="rate-limit-2x").status_code == 201
    assert windows(gateway.chat(alice)) == (24, 21, 500, 497)
    assert buy(alice, "subscription/upgrade", plan="premium").status_code == 201
    assert windows(gateway.chat(alice)) == (40, 36, 2_000, 1_996)


def test_what_a_plan_cost_is_not_there_for_requests(gateway: Gateway, alice: Person) -> None:
    fund(alice, "6")
    assert gateway.chat(alice).status_code == 200
    fund(alice, "0.01")  # what the request cost
    assert buy(alice, "subscription", plan="basic").status_code == 201
    answer = gateway.chat(alice, max_tokens=100_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "insufficient_balance")
