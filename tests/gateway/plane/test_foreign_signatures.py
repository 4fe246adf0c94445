"""Thought signatures at Google's door that Google did not give: no vendor is let refuse them."""

import pytest

from tests.gateway_server import Gateway, fund
from tests.world import Person

CALL = {"functionCall": {"name": "read", "args": {"path": "a"}}}
RESULT = {"functionResponse": {"name": "read", "response": {"output": "b"}}}
TOOLS = [{"functionDeclarations": [{"name": "read", "parameters": {"type": "object"}}]}]


@pytest.mark.parametrize("model", ["gemini-3.1-pro-preview", "gemini-2.5-pro", "gpt-5.2"])
@pytest.mark.parametrize("signature", ["Zm9yZWlnbg==", "sig_of another!", "zZ1", "ö"])
def test_a_signature_of_another_gateways_is_no_reason_to_refuse(
    gateway: Gateway, alice: Person, model: str, signature: str
) -> None:
    fund(alice, "1")
    body = {
        "contents": [
            {"role": "user", "parts": [{"text": "[[say: ok]]"}]},
            {"role": "model", "parts": [{**CALL, "thoughtSignature": signature}]},
            {"role": "user", "parts": [RESULT]},
        ],
        "tools": TOOLS,
    }
    with gateway.http(alice) as http:
        answer = http.post(f"/v1beta/models/{model}:generateContent", json=body)
    assert answer.status_code == 200, answer.text
    assert signature not in str(gateway.vendors.last.body)
    (event,) = gateway.books()
    assert event.status == 200
