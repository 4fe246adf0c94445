"""GET /v1/models in the shape that Codex asks for, with an ETag."""

from typing import Any

from accounts.keys import api_keys
from tests.gateway_server import Gateway
from tests.world import Person

ASKED = "/v1/models?client_version=0.169.0"
EFFORTS = {"none", "minimal", "low", "medium", "high", "xhigh"}
# What Codex refuses the whole list without.
REQUIRED: dict[str, type | tuple[type, ...]] = {
    "slug": str,
    "display_name": str,
    "supported_reasoning_levels": list,
    "shell_type": str,
    "visibility": str,
    "supported_in_api": bool,
    "priority": int,
    "base_instructions": str,
    "supports_reasoning_summaries": bool,
    "support_verbosity": bool,
    "truncation_policy": dict,
    "supports_parallel_tool_calls": bool,
    "experimental_supported_tools": list,
    "context_window": int,
}


def test_codex_finds_every_model_with_what_it_needs_to_know(
    gateway: Gateway, alice: Person
) -> None:
    with gateway.http(alice) as http:
        reply = http.get(ASKED)
        plain = http.get("/v1/models").json()
    found: dict[str, Any] = reply.json()
    ids = [model["id"] for model in plain["data"]]
    assert [model["slug"] for model in found["models"]] == ids
    assert found["data"] == plain["data"] and "models" not in plain
    for model in found["models"]:
        assert all(isinstance(model[name], kind) for name, kind in REQUIRED.items()), model
        levels = [each["effort"] for each in model["supported_reasoning_levels"]]
        assert EFFORTS.issuperset(levels)
        assert (model["default_reasoning_level"] in levels) is bool(levels)
    by_slug = {model["slug"]: model for model in found["models"]}
    assert by_slug["gpt-4o"]["supported_reasoning_levels"] == []
    assert by_slug["claude-sonnet-4.5"]["supported_reasoning_levels"]
    assert by_slug["claude-sonnet-4.5"]["context_window"] >= 128_000


def test_an_etag_tells_whether_anything_changed(gateway: Gateway, alice: Person) -> None:
    with gateway.http(alice) as http:
        first = http.get(ASKED)
        tag = first.headers["etag"]
        again = http.get(ASKED, headers={"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"") and again.headers["etag"] == tag
        assert http.get(ASKED, headers={"if-none-match": f'W/{tag}, "x"'}).status_code == 304
        assert http.get(ASKED, headers={"if-none-match": '"x"'}).status_code == 200
        assert http.get("/v1/models").headers["etag"] != tag
        api_keys.change(alice.key, allowed_models=["gpt-4o"])
        few = http.get(ASKED, headers={"if-none-match": tag})
    assert few.status_code == 200 and len(few.json()["models"]) == 1
