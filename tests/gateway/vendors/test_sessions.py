"""Sessions keep to a credential, share by weight, and move no more than they must."""

from collections import Counter
from typing import Any

from gateway.vendors import sessions
from gateway.vendors.access import introduce
from gateway.vendors.breaker import Breaker
from gateway.vendors.manners import NATIVE
from gateway.vendors.routes import Route, ordered

SYSTEM = {"role": "system", "content": "Be brief."}
ASKED = {"role": "user", "content": "What is Redis?"}
TURN = [{"role": "assistant", "content": "A store."}, {"role": "user", "content": "And Valkey?"}]


def route(label: str, priority: int = 0, weight: int = 1) -> Route:
    return Route(
        introduce(label, "openai", "http://127.0.0.1", "k"), Breaker(), NATIVE, priority, weight
    )


def wins(routes: list[Route], sessions_asking: int = 2000) -> dict[int, str]:
    """Session to the label of whom it asks first."""
    return {
        number: ordered(tuple(routes), lambda n=number: b"%d" % n)[0].access.label  # type: ignore[misc]
        for number in range(sessions_asking)
    }


def key(body: dict[str, Any], account: int = 1, **headers: str) -> bytes:
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return sessions.key(body, sent, account)


def test_weights_share_the_sessions() -> None:
    won = Counter(wins([route("a", weight=1), route("b", weight=3)]).values())
    assert 0.70 < won["b"] / won.total() < 0.80


def test_a_lower_priority_comes_only_after_all_of_a_higher() -> None:
    routes = (route("a"), route("b"), route("c", priority=10, weight=100))
    for number in range(50):
        order = [r.access.label for r in ordered(routes, lambda n=number: b"%d" % n)]  # type: ignore[misc]
        assert order[2] == "c"


def test_a_new_credential_takes_sessions_but_moves_no_others() -> None:
    before = wins([route("a"), route("b")])
    after = wins([route("a"), route("b"), route("c")])
    moved = [number for number in before if before[number] != after[number]]
    assert all(after[number] == "c" for number in moved)
    assert len(before) // 4 < len(moved) < len(before) // 2


def test_a_session_is_what_the_client_calls_it() -> None:
    same = {"prompt_cache_key": "s1"}
    assert key(same | {"messages": [SYSTEM]}) == key(same | {"messages": [ASKED]})
    user = {"metadata": {"user_id": "u1"}}
    assert key(user | {"messages": [SYSTEM]}) == key(user | {"messages": [ASKED]})
    assert key({"messages": [SYSTEM]}, x_session_id="x") == key({}, x_session_id="x")
    assert key(same) != key(same, account=2)
    assert len({key(same), key(user), key({}, x_session_id="x")}) == 3


def test_else_a_session_is_how_its_prompt_begins() -> None:
    for name, apart in (("messages", {"system": "Be brief."}), ("input", {"instructions": "B"})):
        first = {name: [SYSTEM, ASKED], **apart}
        later = {name: [SYSTEM, ASKED, *TURN], **apart, "max_tokens": 9}
        other = {name: [SYSTEM, TURN[1]], **apart}
        assert key(first) == key(later) != key(other)
    assert key({"input": "a"}) != key({"input": "b"})


def test_half_an_emoji_is_a_session_too() -> None:
    halved = {"messages": [{"role": "user", "content": "\ud83d"}]}
    assert key(halved) == key(halved) != key({"messages": [ASKED]})
    assert key({"prompt_cache_key": "\ud83d"}) != key({"prompt_cache_key": 7, "metadata": []})
