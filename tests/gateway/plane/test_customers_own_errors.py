"""A vendor's error that is the customer's own keeps its status, through every door and lane; a
model that its vendor has retired is a 404 that names its successor."""

from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from gateway.catalogue import snapshot
from gateway.catalogue.models import Model
from sandbox.vendors.faults import Fault
from tests.gateway.plane.test_sockets import asked, opened
from tests.gateway_server import Gateway, fund
from tests.world import Person

SAID = [{"role": "user", "content": "Hi"}]
DOORS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": SAID, "max_tokens": 50},
    "/v1/messages": {"messages": SAID, "max_tokens": 50},
    "/v1/responses": {"input": "Hi", "max_output_tokens": 50},
    "/v1/responses/compact": {"input": "Hi"},
}
MODELS = ("gpt-4o", "gpt-5.2", "claude-sonnet-4.5", "gemini-2.5-pro")
NO_FILE = {
    "gpt": (404, "invalid_request_error", "No such File object: file-abc"),
    "cla": (404, "not_found_error", "File not found: file_abc"),
    "gem": (403, "PERMISSION_DENIED", "You do not have permission to access the File abc."),
}
BAD = {
    "gpt": (400, "invalid_request_error", "Invalid value: 'x'."),
    "cla": (400, "invalid_request_error", "messages.0: bad block"),
    "gem": (400, "INVALID_ARGUMENT", "Unsupported MIME type: x/y"),
}
GONE = {
    "gpt": (404, "model_not_found", "The model `x` does not exist or you do not have access."),
    "cla": (404, "not_found_error", "model: claude-x"),
    "gem": (404, "NOT_FOUND", "models/gemini-x is not found for API version v1beta."),
}


def fault(case: tuple[int, str, str]) -> Fault:
    status, word, message = case
    error = {"code": word, "type": word, "status": word, "message": message}
    return Fault(status=status, body=orjson.dumps({"type": "error", "error": error}))


def post(gateway: Gateway, person: Person, path: str, **body: Any) -> httpx.Response:
    with gateway.http(person) as http:
        return http.post(path, json=DOORS[path] | body)


@pytest.mark.parametrize("model", MODELS)
def test_what_the_customer_named_and_is_not_there_keeps_its_status(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    for case in (NO_FILE[model[:3]], BAD[model[:3]]):
        for path in DOORS:
            for stream in (False, True):
                gateway.vendors.faults.append(fault(case))
                reply = post(gateway, alice, path, model=model, stream=stream)
                assert reply.status_code == case[0], (path, reply.text)
                assert case[2] in reply.json()["error"]["message"]
        gateway.vendors.faults.append(fault(case))
        with opened(gateway, alice) as socket:
            assert asked(socket, model=model)["status"] == case[0]
    assert gateway.balance(alice) == 10_000_000_000


@pytest.mark.parametrize("model", MODELS)
def test_a_model_that_its_vendor_retired_is_a_404_with_its_successor(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    Model.objects.filter(pk=model).update(
        ends_at=datetime(2030, 1, 1, tzinfo=UTC), successor_id="gpt-5.4"
    )
    snapshot.forget()
    answers = []
    for path in DOORS:
        for stream in (False, True):
            gateway.vendors.faults.extend([fault(GONE[model[:3]])] * 4)
            answers.append(post(gateway, alice, path, model=model, stream=stream))
            gateway.vendors.faults.clear()
    for reply in answers:
        error = reply.json()["error"]
        assert (reply.status_code, error["code"]) == (404, "model_retired"), reply.text
        assert error["details"]["successor"] == "gpt-5.4" and "gpt-5.4" in error["message"]
    gateway.vendors.faults.extend([fault(GONE[model[:3]])] * 4)
    with opened(gateway, alice) as socket:
        told = asked(socket, model=model)
    assert (told["status"], told["error"]["code"]) == (404, "model_retired")
    assert gateway.balance(alice) == 10_000_000_000


def test_counting_doors_tell_it_as_well(gateway: Gateway, alice: Person) -> None:
    for path, model in (
        ("/v1/messages/count_tokens", "claude-sonnet-4.5"),
        ("/v1/responses/input_tokens", "gpt-5.2"),
    ):
        body = {"model": model, "messages": SAID, "input": "Hi"}
        with gateway.http(alice) as http:
            for case, code in ((NO_FILE, 404), (BAD, 400)):
                gateway.vendors.faults.append(fault(case[model[:3]]))
                assert http.post(path, json=body).status_code == code
            gateway.vendors.faults.extend([fault(GONE[model[:3]])] * 4)
            gone = http.post(path, json=body)
            gateway.vendors.faults.clear()
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "model_retired")
