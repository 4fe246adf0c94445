"""Whatever stands in a request's JSON is answered, in the words of its door, and leaves nothing
behind: no hold, no slot, no lease."""

import json
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from accounts.sign_in import tokens
from billing.plans.models import Plan
from gateway.plane import admission
from hontoni.money import nanos
from tests.gateway_server import Gateway, fund, settled
from tests.world import Person

pytestmark = [
    pytest.mark.any_database,
    pytest.mark.outside_the_law(reason="many of these requests are refused by the vendor"),
]
DEEP, HALF = 100_000, '"\\ud800"'
VALUES = [
    *("9" * 5000, "-" + "9" * 5000, "1e999", "-1e999", "1e-999", "NaN", "Infinity", "-Infinity"),
    *("18446744073709551616", "18446744073709551615", "9223372036854775808", "1e30", "1.5", "-1"),
    *("-9223372036854775809", "0", "-0", "null", "true", "[]", "{}", '""', '"\\ud800"', "129"),
    *('"\\udc00 x"', '"\\u0000"', '"\\uffff"', '"\u2028"', "[null]", "[{}]", '{"type": null}'),
    *("[" * n + "]" * n for n in (200, 260, 900, 1000, 1020, DEEP)),
    *('{"a":' * n + "1" + "}" * n for n in (200, 260, 900, 1000, 1020, DEEP)),
]
USER = {"role": "user", "content": "Hello"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "messages": [USER],
        "max_tokens": 50,
        "n": 1,
        "temperature": 1,
        "stop": ["x"],
        "tools": [FUNCTION],
        "tool_choice": "auto",
        "stream_options": {"include_usage": True},
        "response_format": {"type": "text"},
        "reasoning_effort": "low",
        "metadata": {"a": "b"},
        "user": "me",
    },
    "/v1/messages": {
        "messages": [USER],
        "system": "Be brief.",
        "max_tokens": 2000,
        "temperature": 1,
        "stop_sequences": ["x"],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [TOOL],
        "tool_choice": {"type": "auto"},
        "metadata": {"user_id": "me"},
    },
    "/v1/responses": {
        "input": [USER],
        "instructions": "Be brief.",
        "max_output_tokens": 50,
        "temperature": 1,
        "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        "text": {"format": {"type": "text"}},
        "metadata": {"a": "b"},
    },
}
MODELS = ("gpt-4o", "claude-sonnet-4", "gemini-2.5-flash")


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every value of a document, and a member that it has not."""
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    found = [(*at, "unheard_of")] if isinstance(node, dict) else []
    for name, value in inner:
        found.append((*at, name))
        if isinstance(value, dict | list):
            found += places(value, (*at, name))
    return found


def written(path: str, model: str, place: tuple[Any, ...], value: str, stream: bool) -> bytes:
    """The body, with the value at that place, whatever JSON would say to it."""
    whole = {"model": model, "stream": stream, **BODIES[path]}
    document = json.loads(json.dumps(whole))
    node = document
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = "@here@"
    return json.dumps(document).replace('"@here@"', value).encode()


REQUESTS = st.sampled_from(list(BODIES)).flatmap(
    lambda path: st.builds(
        lambda *given: (path, written(path, *given)),
        st.sampled_from(MODELS),
        st.sampled_from(places({"model": "", "stream": True, **BODIES[path]})),
        st.sampled_from(VALUES),
        st.booleans(),
    )
)


def test_no_value_in_a_request_breaks_anything(gateway: Gateway, alice: Person) -> None:
    fund(alice, "100")
    much = dict.fromkeys(("rpm", "five_hours", "daily", "weekly", "monthly"), 1_000_000)
    Plan.objects.update(**much)
    with gateway.http(alice) as client:
        _ask_everything(client)
        settled(gateway.vendors)
        assert not admission.LIVE
        after = client.get("/v1/models").headers
    assert after["x-ratelimit-concurrent-active"] == "0"
    balance = gateway.balance(alice)
    assert 0 < balance <= nanos("100")


def _ask_everything(client: httpx.Client) -> None:
    """What the vendor itself breaks at is its own failure, and told as one."""

    @settings(
        max_examples=100,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(REQUESTS)
    @example(("/v1/chat/completions", b"[" * DEEP))
    @example(("/v1/messages", b'{"a":' * DEEP))
    @example(("/v1/responses", b"9" * 5000))
    @example(
        ("/v1/responses", written("/v1/responses", MODELS[0], ("tools", 0, "type"), HALF, True))
    )
    @example(
        ("/v1/responses", written("/v1/responses", MODELS[1], ("instructions",), HALF, False))
    )
    @example(("/v1/messages", b'{"model": "gpt-4o", "messages": [], "\\ud800": 1}'))
    @example(("/v1/chat/completions", b'{"model": "gpt-\\ud800", "messages": [{"role": "user"}]}'))
    def run(asked: tuple[str, bytes]) -> None:
        path, body = asked
        told = client.post(path, content=body)
        shown = (path, body[:600], told.status_code, told.text[:300])
        broken = told.status_code == 500 and "upstream_error" not in told.text
        assert told.status_code in (200, 400, 404, 500) and not broken, shown
        if told.status_code != 200:
            error = told.json()
            assert error["request_id"] == told.headers["x-request-id"], shown
            assert error["error"]["type"].endswith("_error"), shown

    run()


@pytest.mark.parametrize("value", VALUES[:16] + VALUES[-1:])
def test_nor_in_one_to_the_api(gateway: Gateway, alice: Person, value: str) -> None:
    token = tokens.issue(alice.user).access_token
    with gateway.http() as client:
        for path, name in (
            ("/api/keys", "name"),
            ("/api/keys", "daily_cap"),
            ("/api/auth/login", "email"),
        ):
            content = f'{{"{name}": {value}}}'
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            told = client.post(path, content=content, headers=headers)
            assert told.status_code < 500, (path, name, told.text)


@pytest.mark.parametrize("number", ["9" * 19, "9" * 30, "9" * 5000, "-1", "0" * 5000])
def test_nor_a_number_in_a_path_or_a_query(gateway: Gateway, alice: Person, number: str) -> None:
    token = tokens.issue(alice.user).access_token
    with gateway.http() as client:
        for path in (
            f"/api/keys/{number}",
            f"/api/keys?limit={number}",
            f"/api/keys?cursor={number}",
            f"/keys/{number}",
            f"/api/billing/invoices/inv_{number}/pdf",
        ):
            told = client.get(path, headers={"Authorization": f"Bearer {token}"})
            assert told.status_code < 500, (path[:30], told.text[:200])


@pytest.mark.parametrize("code", ["%D9%A1", "%ff", "a%0D%0Ab", "a;b=c", "9" * 5000])
def test_nor_an_invitation_that_is_no_code(gateway: Gateway, code: str) -> None:
    with gateway.http() as client:
        told = client.get(f"/r/{code}")
    assert (told.status_code, told.headers["location"]) == (302, "/account/signup/")


NUMBERS = ["9" * 5000, "%C2%B2", "%D9%A1", "-1", "000000001999999999", "000002592000999"]


@pytest.mark.parametrize("number", NUMBERS)
def test_nor_one_in_a_query_or_a_form_of_v1(gateway: Gateway, alice: Person, number: str) -> None:
    fund(alice, "1")
    with gateway.http(alice) as client:
        for path in ("/v1/models", "/v1/files", "/v1/batches", "/v1/messages/batches"):
            told = client.get(f"{path}?limit={number}", headers={"anthropic-version": "1"})
            assert told.status_code == 400, (path, told.text[:200])
        for name in ("pageSize", "pageToken"):
            assert client.get(f"/v1beta/models?{name}={number}").status_code in (200, 400)
        kept = client.post("/v1/responses", json={"model": "gpt-4o", "input": "Hello"}).json()
        items = client.get(f"/v1/responses/{kept['id']}/input_items?limit={number}")
        assert items.status_code == 200, items.text[:200]
        form = {
            "purpose": "batch",
            "expires_after[anchor]": "created_at",
            "expires_after[seconds]": unquote(number),
        }
        told = client.post("/v1/files", data=form, files={"file": ("a.jsonl", b"{}")})
        assert told.status_code == 400, told.text[:200]
        schema = {"type": "ARRAY", "items": {"type": "STRING"}, "maxItems": unquote(number)}
        body = {
            "contents": [{"parts": [{"text": "Hello"}]}],
            "generationConfig": {"responseMimeType": "application/json", "responseSchema": schema},
        }
        told = client.post("/v1beta/models/gpt-4o:generateContent", json=body)
        assert "our side" not in told.text, told.text[:200]


def test_no_nul_reaches_a_database(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    token = tokens.issue(alice.user).access_token
    with gateway.http(alice) as client:
        for path in (
            *("/v1/files/a%00b", "/v1/files?after=a%00b", "/v1/batches/%00", "/live%00"),
            *("/v1/responses/%00", "/v1/models/%00", "/v1beta/models/%00", "/scim/v2/Users/%00"),
            *("/api/usage/req_%00", "/usage/%00", "/account/login/?next=%00", "/docs/%00"),
        ):
            told = client.get(path, headers={"Authorization": f"Bearer {token}"})
            assert told.status_code == 400, (path, told.status_code)
        line = {"custom_id": "a\0", "method": "POST", "url": "/v1/chat/completions"}
        raw = json.dumps({**line, "body": {"model": "gpt\0", "messages": [USER]}})
        sent = {"file": ("in\0.jsonl", raw.encode())}
        file = client.post("/v1/files", files=sent, data={"purpose": "batch"}).json()["id"]
        asked = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        for more, status in (
            ({"input_file_id": f"{file}\0"}, 200),
            ({"input_file_id": file, "metadata": {"a": "\0"}}, 400),
            ({"input_file_id": file, "metadata": {"\0": "a"}}, 400),
            ({"input_file_id": "\0"}, 404),
        ):
            told = client.post("/v1/batches", json={**asked, **more})
            assert told.status_code == status, (more, told.text[:200])
