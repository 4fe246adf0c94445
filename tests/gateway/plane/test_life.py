"""One request's life is the table in gateway/plane/life.py: there, in the code, and in fact."""

import re
from collections.abc import Iterator
from itertools import product

import pytest

from gateway.plane import admission, life
from gateway.plane.call import Call
from gateway.plane.exchange import Exchange
from gateway.plane.life import Stage
from hontoni.money import nanos
from tests.gateway_server import Gateway, fund, settled
from tests.world import Person

LONG = "[[say: a fairly long text that takes a good many events to be told whole]]"
BEGUN = ["ASKED", "ADMITTED", "SENT", "REACHED"]
WHOLE = [*BEGUN, "CLOSED", "SETTLED"]


# -- The table -----------------------------------------------------------------------------------


def told() -> dict[str, list[str]]:
    """The rows of the table as its docstring has them: slot+hold, place, vendor, then."""
    assert life.__doc__
    rows = re.findall(
        r"^ {4}([A-Z]+) +(\S+) +(\S+) +(\S+) +(-|[A-Z, ]+)$", life.__doc__, re.MULTILINE
    )
    return {name: rest for name, *rest in rows if name in Stage.__members__}


def test_the_prose_is_what_the_code_does() -> None:
    rows = told()
    assert list(rows) == [stage.name for stage in Stage]
    for stage in Stage:
        holds, place, vendor, then = rows[stage.name]
        assert (holds == "owed") == (stage in life.HOLDS)
        assert (place == "owed") == (stage in life.COUNTS)
        assert (vendor == "owed") == (stage in life.OPEN)
        following = set() if then == "-" else set(then.split(", "))
        assert following == {each.name for each in life.NEXT[stage]}


def test_every_step_that_the_table_does_not_have_is_refused() -> None:
    for now, then in product(Stage, Stage):
        if then in life.NEXT[now]:
            assert life.step(now, then) is then
        else:
            with pytest.raises(life.Impossible):
                life.step(now, then)
    for heard, then_ in product(life.Hearing, life.Hearing):
        if then_ not in life.NEXT_HEARING[heard]:
            with pytest.raises(life.Impossible):
                life.hearing(heard, then_)
    for said, next_ in product(life.Answer, life.Answer):
        if next_ not in life.NEXT_ANSWER[said]:
            with pytest.raises(life.Impossible):
                life.answer(said, next_)


def reachable(stage: Stage) -> set[Stage]:
    found: set[Stage] = set()
    pending = [stage]
    while pending:
        for then in life.NEXT[pending.pop()] - found:
            found.add(then)
            pending.append(then)
    return found


def test_whatever_is_held_is_settled_and_nothing_else_is() -> None:
    assert reachable(life.PREPARED) == set(Stage) - {life.PREPARED}
    for stage in Stage:
        after = reachable(stage)
        if stage in life.HOLDS:
            assert life.SETTLED in after and life.REFUSED not in after
        assert all(life.NEXT[each] or each in (life.SETTLED, life.REFUSED) for each in after)
    for stage in life.COUNTS:
        assert life.FREED not in reachable(stage), "what counts is never given back"


# -- In fact -------------------------------------------------------------------------------------


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[str]]]:
    """The stages of each request, as it goes through them."""
    seen: dict[str, list[str]] = {}
    become, reach = Call.become, Call.reach

    def note(call: Call, before: Stage) -> None:
        if call.life is not before:
            seen.setdefault(call.id, []).append(call.life.name)

    def becoming(call: Call, stage: Stage) -> None:
        before = call.life
        become(call, stage)
        note(call, before)

    def reaching(call: Call) -> None:
        before = call.life
        reach(call)
        note(call, before)

    monkeypatch.setattr(Call, "become", becoming)
    monkeypatch.setattr(Call, "reach", reaching)
    yield seen
    assert not admission.LIVE


@pytest.mark.parametrize(
    ("text", "stream", "status", "stages"),
    [
        (LONG, False, 200, WHOLE),
        (LONG, True, 200, WHOLE),
        ("[[error: 400 no]]", False, 400, [*BEGUN[:3], "ADMITTED", "FREED", "SETTLED"]),
        ("[[error: 400 no]]", True, 400, [*BEGUN[:3], "ADMITTED", "FREED", "SETTLED"]),
        (f"[[midstream]] {LONG}", True, 200, [*BEGUN, "BROKEN", "CLOSED", "SETTLED"]),
        (f"[[cut]] {LONG}", True, 200, [*BEGUN, "BROKEN", "CLOSED", "SETTLED"]),
    ],
    ids=["whole", "streamed", "refused", "refused-stream", "failed", "cut"],
)
def test_a_request_lives_by_the_table(
    gateway: Gateway,
    alice: Person,
    lives: dict[str, list[str]],
    text: str,
    stream: bool,
    status: int,
    stages: list[str],
) -> None:
    fund(alice, "10")
    answer = gateway.chat(alice, text, stream=stream)
    assert answer.status_code == status
    settled(gateway.vendors)
    assert lives == {answer.headers["x-request-id"]: stages}
    (event,) = gateway.books()
    assert gateway.balance(alice) == nanos("10") - event.cost
    used = int(answer.headers["x-ratelimit-limit-rpm"]) - _left(gateway, alice)
    assert used == ("REACHED" in stages), "what was never accepted gives its place back"


def _left(gateway: Gateway, person: Person) -> int:
    with gateway.http(person) as client:
        return int(client.get("/v1/models").headers["x-ratelimit-remaining-rpm"])


def test_whoever_cannot_pay_owes_nothing(
    gateway: Gateway, bob: Person, lives: dict[str, list[str]]
) -> None:
    refused = gateway.chat(bob)
    assert refused.status_code == 402
    assert lives == {refused.headers["x-request-id"]: ["ASKED", "REFUSED"]}


def test_whose_client_left_is_settled_all_the_same(
    gateway: Gateway, alice: Person, lives: dict[str, list[str]]
) -> None:
    fund(alice, "10")
    body = {
        "model": "gpt-4o",
        "stream": True,
        "messages": [{"role": "user", "content": f"[[slow: 0.05]] {LONG}"}],
    }
    with (
        gateway.http(alice) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        next(part for part in answer.iter_bytes() if b"fairly" in part)
    settled(gateway.vendors)
    assert lives == {answer.headers["x-request-id"]: [*BEGUN, "CLOSED", "SETTLED"]}
    (event,) = gateway.books()
    assert event.aborted and 0 < event.cost == nanos("10") - gateway.balance(alice)


def test_an_answer_is_begun_and_ended_once(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    init, exchanges = Exchange.__init__, list[Exchange]()

    def noting(self: Exchange, *args: object) -> None:
        init(self, *args)  # type: ignore[arg-type]
        exchanges.append(self)

    monkeypatch.setattr(Exchange, "__init__", noting)
    fund(alice, "10")
    for text, stream in ((LONG, True), (LONG, False), ("[[error: 500 no]]", True)):
        gateway.chat(alice, text, stream=stream)
    settled(gateway.vendors)
    assert [exchange.answer for exchange in exchanges] == [life.ENDED] * 3
    with pytest.raises(life.Impossible):
        life.answer(exchanges[0].answer, life.BEGUN)
