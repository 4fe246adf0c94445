"""A file id names what lies in the vendor's account: nobody reads another's through us."""

from typing import Any

import orjson
import pytest

from tests.gateway.catalogue.features import vendor
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
MODELS = ["claude-haiku-4.5", "gpt-4o", "gpt-5.2", "gemini-2.5-pro"]
MEMBER = {"file_id": "file-6F2ksmvXxt4VdoqmHRw6kL"}
DATA = "data:application/pdf;base64,JVBERi0xLjc="
BLOCKS: list[tuple[str, dict[str, Any]]] = [
    ("chat", {"type": "file", "file": MEMBER}),
    ("chat", {"type": "file", "file": MEMBER | {"filename": "a.pdf", "file_data": DATA}}),
    ("responses", {"type": "input_file", **MEMBER}),
    ("responses", {"type": "input_file", "filename": "a.pdf", "file_data": DATA, **MEMBER}),
    ("responses", {"type": "input_image", **MEMBER}),
    ("messages", {"type": "image", "source": {"type": "file", **MEMBER}}),
    ("messages", {"type": "document", "source": {"type": "file", **MEMBER}}),
    ("messages", {"type": "tool_result", "tool_use_id": "t", "content": [
        {"type": "document", "source": {"type": "file", **MEMBER}}]}),
]  # fmt: skip


def asked(dialect: str, model: str, block: dict[str, Any]) -> dict[str, Any]:
    said = [{"role": "user", "content": [block]}]
    if dialect == "responses":
        return {"model": model, "input": said}
    return {"model": model, "messages": said, "max_tokens": 100}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("dialect", "block"), BLOCKS)
@pytest.mark.parametrize("spelled", [False, True], ids=["plain", "escaped"])
def test_a_file_id_is_refused_in_every_dialect_and_lane(
    gateway: Gateway, alice: Person, dialect: str, model: str, block: dict[str, Any], spelled: bool
) -> None:
    fund(alice, "50")
    raw = orjson.dumps(asked(dialect, model, block))
    if spelled:
        raw = raw.replace(b'"file_id"', rb'"\u0066ile_id"').replace(b'"file"', rb'"f\u0069le"')
    with gateway.http(alice) as http:
        reply = http.post(
            PATHS[dialect], content=raw, headers={"anthropic-beta": "files-api-2025-04-14"}
        )
    assert (reply.status_code, gateway.vendors.requests) == (400, [])
    assert "file_id" in reply.text


def test_a_mask_by_file_id_leaves_the_tool_out(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    tool = {"type": "image_generation", "input_image_mask": MEMBER}
    reply = vendor.responses(gateway, alice, "gpt-5.4-mini", tools=[tool])
    assert reply.status_code == 200
    assert reply.headers["x-hontoni-left-out"] == "tool:image_generation"
    assert "file-" not in str(vendor.sent(gateway))


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}},
        {"type": "code_interpreter", "container": "cntr_1"},
    ],
)
def test_no_tool_is_given_files_of_the_vendors_account(
    gateway: Gateway, alice: Person, tool: dict[str, Any]
) -> None:
    fund(alice, "50")
    reply = vendor.responses(gateway, alice, "gpt-5.4-mini", tools=[tool])
    assert reply.status_code == 200 and reply.headers["x-hontoni-left-out"]
    assert "file-1" not in str(vendor.sent(gateway))
    assert "cntr_1" not in str(vendor.sent(gateway))


@pytest.mark.parametrize(
    "url",
    [
        "https://generativelanguage.googleapis.com/v1beta/files/abc/.pdf",
        "https://GENERATIVELANGUAGE.googleapis.com./v1beta/files/abc.pdf",
        "https://x@generativelanguage.googleapis.com:443/v1beta/files/abc.pdf?a#.pdf",
        "https://www.youtube.com/watch.pdf",
    ],
)
def test_gemini_is_not_pointed_at_its_own_files(gateway: Gateway, alice: Person, url: str) -> None:
    """We fetch it, as anybody may: who has no key gets nothing."""
    fund(alice, "50")
    block = {"type": "document", "source": {"type": "url", "url": url}}
    with gateway.http(alice) as http:
        http.post("/v1/messages", json=asked("messages", "gemini-2.5-pro", block))
    assert all("fileUri" not in str(request.body) for request in gateway.vendors.requests)
