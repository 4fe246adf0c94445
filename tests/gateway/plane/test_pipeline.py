"""The paid path through the public door: what the client gets, what it costs, what is left."""

import pytest

from gateway.usage.models import UsageEvent
from hontoni.money import dollars, nanos
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.both_databases


def test_the_specs_example_costs_what_the_spec_says(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    client = gateway.anthropic(alice)
    reply = client.messages.with_raw_response.create(
        model="claude-sonnet-4",
        max_tokens=1000,
        messages=[{"role": "user", "content": "[[usage: 1000 500 0]] [[say: hi]]"}],
    )
    assert reply.headers["x-hontoni-cost"] == "0.0105"
    assert reply.headers["x-hontoni-balance"] == "9.9895"
    assert reply.parse().model == "claude-sonnet-4"
    assert dollars(gateway.balance(alice)) == "9.9895"


def test_the_openai_sdk_gets_its_answer_and_the_model_it_asked_for(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    reply = gateway.openai(alice).chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "[[say: Hanoi]]"}]
    )
    assert reply.choices[0].message.content == "Hanoi"
    assert reply.model == "gpt-4o"
    (event,) = gateway.books()
    assert reply.usage is not None
    assert event.input + event.cache_read == reply.usage.prompt_tokens
    assert event.output == reply.usage.completion_tokens
    assert not event.estimated
    assert gateway.balance(alice) == nanos("10") - event.cost


def test_a_stream_costs_what_the_same_unary_call_costs(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    client = gateway.openai(alice)
    ask = [{"role": "user", "content": "[[usage: 1000 50 400]] [[say: the same]]"}]
    client.chat.completions.create(model="gpt-4o", messages=ask)
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=ask, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "the same"
    unary, streamed = gateway.books()
    assert unary.cost == streamed.cost == nanos("0.0025"), "cached input at half the price"
    assert unary.usage == streamed.usage


def test_usage_is_billed_without_being_asked_for_and_not_sent_then(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    client = gateway.openai(alice)
    ask = [{"role": "user", "content": "[[say: x]]"}]
    bare = list(client.chat.completions.create(model="gpt-4o", messages=ask, stream=True))
    assert all(chunk.choices for chunk in bare)
    asked = list(
        client.chat.completions.create(
            model="gpt-4o",
            messages=ask,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert asked[-1].usage is not None and asked[-1].choices == []
    assert all(event.cost > 0 for event in gateway.books())


@pytest.mark.parametrize("stream", [False, True])
def test_what_we_do_not_know_reaches_the_vendor_untouched(
    gateway: Gateway, alice: Person, stream: bool
) -> None:
    fund(alice, "10")
    body = (
        '{"metadata":{"user_id":"mine"},"max_tokens": 64, '
        '"system":[{"type":"text","text":"long","cache_control":'
        '{"type":"ephemeral","ttl":"1h"}}], "model" : "claude-sonnet-4.5", '
        '"messages":[{"role":"user","content":"caf\\u00e9 [[say: ok]]"}],"temperature":1.0'
        + (',"stream":true}' if stream else "}")
    )
    with gateway.http(alice) as client:
        reply = client.post("/v1/messages", content=body)
    assert reply.status_code == 200
    sent = gateway.vendors.last.raw
    expected = body.replace(
        '"model" : "claude-sonnet-4.5"', '"model":"claude-sonnet-4-5-20250929"'
    )
    assert sent.decode() == expected


def test_a_request_nobody_can_pay_for_is_refused_and_leaves_no_trace(
    gateway: Gateway, bob: Person
) -> None:
    reply = gateway.chat(bob)
    assert reply.status_code == 402
    assert reply.json()["error"]["code"] == "insufficient_balance"
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["x-ratelimit-remaining-rpm"] == reply.headers["x-ratelimit-limit-rpm"]
    assert UsageEvent.objects.count() == 0 and gateway.vendors.requests == []


def test_a_revoked_key_is_refused_by_the_next_request(gateway: Gateway, alice: Person) -> None:
    from accounts.keys import api_keys

    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    api_keys.revoke(alice.key)
    refused = gateway.chat(alice)
    assert refused.status_code == 401
    assert refused.headers["x-should-retry"] == "false"


def test_an_upstream_refusal_is_given_back_to_every_window(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    failed = gateway.chat(alice, "[[error: 500 broken]]")
    assert failed.status_code == 500
    assert failed.json()["error"]["code"] == "upstream_error"
    for name in ("rpm", "5h", "daily", "weekly", "monthly"):
        header = f"x-ratelimit-remaining-{name}"
        assert failed.headers[header] == failed.headers[header.replace("remaining", "limit")]
    (event,) = gateway.books()
    assert event.cost == 0 and event.upstream_status == 500


@pytest.mark.parametrize(
    ("upstream", "client"), [(400, 400), (401, 500), (404, 500), (429, 503), (529, 503)]
)
def test_the_vendors_troubles_with_us_are_not_the_customers(
    gateway: Gateway, alice: Person, upstream: int, client: int
) -> None:
    fund(alice, "10")
    reply = gateway.chat(alice, f"[[error: {upstream} scripted]]")
    assert reply.status_code == client
    assert reply.json()["type"] == "error" and reply.json()["request_id"]


def test_a_failure_in_mid_stream_is_told_in_the_stream_and_costs_nothing(
    gateway: Gateway, alice: Person
) -> None:
    import anthropic
    import openai

    fund(alice, "10")
    ask = "[[midstream]] [[say: a fairly long text that is going to be interrupted]]"
    with pytest.raises(openai.APIError):
        for _ in gateway.openai(alice).chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": ask}], stream=True
        ):
            pass
    with (
        pytest.raises(anthropic.APIError),
        gateway.anthropic(alice).messages.stream(
            model="claude-sonnet-4", max_tokens=100, messages=[{"role": "user", "content": ask}]
        ) as stream,
    ):
        stream.get_final_message()
    assert [event.cost for event in gateway.books()] == [0, 0]


def test_a_vendor_that_cuts_the_connection_never_ends_a_stream_well(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    reply = gateway.chat(alice, "[[cut]] [[say: half of this will be missing]]", stream=True)
    assert reply.status_code == 200
    assert "[DONE]" not in reply.text and '"error"' in reply.text
    (event,) = gateway.books()
    assert event.cost == 0 and event.error == "upstream_error"
