"""What strictness looks like from outside. Each rule has its own test under `lint/`."""

from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from sandbox.vendors.app import make_app
from tests.vendors import Vendors

HI: Any = [{"role": "user", "content": "Hi"}]
HELLO: Any = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_an_unknown_model_is_the_vendors_404(http: httpx.Client) -> None:
    chat = http.post("/v1/chat/completions", json={"model": "gpt-4o:high", "messages": HI})
    assert (chat.status_code, chat.json()["error"]["code"]) == (404, "model_not_found")
    body = {"model": "claude-sonnet-4", "max_tokens": 9, "messages": HI}
    claude = http.post("/v1/messages", json=body)
    assert (claude.status_code, claude.json()["error"]["type"]) == (404, "not_found_error")
    gemini = http.post("/v1beta/models/gemini-9:generateContent", json=HELLO)
    assert (gemini.status_code, gemini.json()["error"]["status"]) == (404, "NOT_FOUND")


def test_a_refusal_is_told_in_the_vendors_shape(http: httpx.Client, vendors: Vendors) -> None:
    chat = http.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": HI, "x": 1})
    assert chat.json()["error"] == {
        "message": "Unknown parameter: 'x'.",
        "type": "invalid_request_error",
        "param": "x",
        "code": "unknown_parameter",
    }
    assert vendors.last.refusal == "Unknown parameter: 'x'."
    body = {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": HI, "x": 1}
    claude = http.post("/v1/messages", json=body).json()
    assert claude["error"] == {
        "type": "invalid_request_error",
        "message": "x: Extra inputs are not permitted",
    }
    gemini = http.post("/v1beta/models/gemini-2.5-pro:generateContent", json={**HELLO, "x": 1})
    assert gemini.json()["error"]["details"][0]["fieldViolations"]


def test_a_thread_is_refused_so_that_the_client_sends_everything(http: httpx.Client) -> None:
    body = {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": HI, "thread": {}}
    headers = {"anthropic-beta": "message-threads-2026-08-12"}
    error = http.post("/v1/messages", json=body, headers=headers).json()["error"]
    assert error["details"] == {"error_code": "thread_unsupported_request"}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_without_strictness_any_body_is_answered(path: str) -> None:
    client = TestClient(make_app(strict=False, pace=0.0))
    headers = {"authorization": "Bearer any", "anthropic-version": "2023-06-01"}
    for body in ({}, {"model": "who-knows", "messages": [3], "input": [{}], "tools": [None]}):
        reply = client.post(path, json=body, headers=headers)
        assert reply.status_code == 200
        assert "sandbox" in reply.text


def test_only_the_models_sold_are_listed_and_answered() -> None:
    client = TestClient(make_app(models=["gpt-4o", "claude-opus-9"], pace=0.0))
    headers = {"authorization": "Bearer any"}
    assert [m["id"] for m in client.get("/v1/models", headers=headers).json()["data"]] == [
        "gpt-4o"
    ]
    body = {"model": "gpt-4.1", "messages": HI}
    assert client.post("/v1/chat/completions", json=body, headers=headers).status_code == 404
    google = client.get("/v1beta/models", headers={"x-goog-api-key": "any"})
    assert google.json() == {"models": []}
