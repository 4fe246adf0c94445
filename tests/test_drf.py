import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client, override_settings
from django.urls import include, path
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from accounts.models import ApiKey
from hontoni import errors
from tests.world import Person

pytestmark = pytest.mark.any_database


class Line(serializers.Serializer[Any]):
    amount = serializers.IntegerField()


class Order(serializers.Serializer[Any]):
    lines = Line(many=True)


class Odd(APIView):
    """Raises what the path names."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request, what: str) -> Response:
        raise {
            "throttled": exceptions.Throttled(wait=2.5),
            "ours": errors.Unavailable("Down.", headers={"Retry-After": "2"}),
            "denied": exceptions.PermissionDenied("Staff only."),
            "bug": ZeroDivisionError(),
        }[what]

    def post(self, request: Request, what: str) -> Response:
        Order(data=request.data).is_valid(raise_exception=True)
        return Response(request.data)


urlpatterns = [
    path("api/odd/<what>", Odd.as_view()),
    path("odd/<what>", Odd.as_view()),
    path("", include("hontoni.urls")),  # an error page links to the others
]
handler400 = "hontoni.drf.bad_request"
handler404 = "hontoni.drf.not_found"
handler500 = "hontoni.drf.server_error"
odd = pytest.mark.urls("tests.test_drf")


def _error(answer: Any) -> tuple[int, str, str, str | None]:
    body = json.loads(answer.content)
    assert body["type"] == "error"
    assert set(body["error"]) >= {"type", "message", "code", "param"}
    assert re.fullmatch("req_[0-9a-f]{32}", body["request_id"])
    assert answer["X-Request-Id"] == answer["request-id"] == body["request_id"]
    error = body["error"]
    return answer.status_code, error["type"], error["code"], error["param"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda c: c.get("/api/nothing"), (404, "not_found_error", "unknown_route", None)),
        (lambda c: c.get("/api/keys/"), (404, "not_found_error", "unknown_route", None)),
        (lambda c: c.get(f"/api/keys/{10**30}"), (404, "not_found_error", "not_found", None)),
        (lambda c: c.put("/api/keys"), (405, "invalid_request_error", "method_not_allowed", None)),
        (
            lambda c: c.post("/api/keys", "name=x", content_type="text/plain"),
            (415, "invalid_request_error", "unsupported_media_type", None),
        ),
        (
            lambda c: c.get("/api/keys", HTTP_ACCEPT="image/png"),
            (406, "invalid_request_error", "not_acceptable", None),
        ),
        (
            lambda c: c.get("/api/keys", HTTP_HOST="evil.example"),
            (400, "invalid_request_error", "unknown_host", None),
        ),
        (
            lambda c: APIClient().get("/api/keys", HTTP_AUTHORIZATION="Bearer x"),
            (401, "authentication_error", "invalid_token", None),
        ),
        (
            lambda c: APIClient().get("/api/keys"),
            (401, "authentication_error", "not_authenticated", None),
        ),
    ],
)
def test_every_error_has_the_envelope(
    alice: Person, call: Callable[[APIClient], Any], told: tuple[Any, ...]
) -> None:
    assert _error(call(alice.client())) == told


@pytest.mark.parametrize(
    "body",
    [b"{", b"NaN", b'{"name": Infinity}', b"\xff", b'"\\ud800"', b"[" * 100_000, b"9" * 5000],
)
@pytest.mark.parametrize("charset", ["", "; charset=hex"])
def test_a_body_that_is_not_json_is_told_so(alice: Person, body: bytes, charset: str) -> None:
    answer = alice.client().post("/api/keys", data=body, content_type=f"application/json{charset}")
    assert _error(answer) == (400, "invalid_request_error", "parse_error", None)


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"x"', b""])
def test_a_body_that_is_no_object_is_told_so(alice: Person, body: bytes) -> None:
    answer = alice.client().post("/api/keys", data=body, content_type="application/json")
    assert _error(answer)[:2] == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "laptop", "lifetime_spend_cap": "5", "lifetime_spend_cap": null}',
        b'{"name": "laptop", "name": "laptop"}',
        b'{"name": "laptop", "x": {"name": 1, "name": 2}}',
    ],
)
def test_a_member_that_is_there_twice_is_named_and_makes_no_key(
    alice: Person, body: bytes
) -> None:
    before = ApiKey.objects.count()
    answer = alice.client().post("/api/keys", body, content_type="application/json")
    told = answer.json()["error"]
    assert (answer.status_code, told["param"] in ("name", "lifetime_spend_cap")) == (400, True)
    assert "twice" in told["message"] and ApiKey.objects.count() == before


def test_a_body_over_the_limit_is_refused(alice: Person) -> None:
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100):
        answer = alice.client().post("/api/keys", {"name": "x" * 100}, format="json")
    assert _error(answer) == (413, "request_too_large", "request_too_large", None)


@odd
def test_a_nested_field_is_named_by_its_path(api: APIClient) -> None:
    order = {"lines": [{"amount": 1}, {"amount": "x"}]}
    answer = api.post("/api/odd/it", order, format="json")
    assert _error(answer) == (400, "invalid_request_error", "invalid_request", "lines.1.amount")
    assert answer.json()["error"]["message"] == "lines.1.amount: A valid integer is required."


@odd
def test_what_a_view_raises_is_translated(api: APIClient) -> None:
    answer = api.get("/api/odd/throttled")
    assert _error(answer) == (429, "rate_limit_error", "rate_limit_exceeded", None)
    assert answer["Retry-After"] == "3"
    answer = api.get("/api/odd/ours")
    assert _error(answer) == (503, "overloaded_error", "service_unavailable", None)
    assert answer["Retry-After"] == "2"
    assert _error(api.get("/api/odd/denied")) == (403, "permission_error", "forbidden", None)


@odd
def test_a_bug_is_an_error_like_any_other_and_tells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = APIClient(raise_request_exception=False).get("/api/odd/bug")
    assert _error(answer) == (500, "api_error", "internal_error", None)
    assert b"ZeroDivision" not in answer.content
    assert "ZeroDivisionError" in caplog.text  # but the log has it all


@odd
def test_pages_are_left_alone() -> None:
    client = Client(raise_request_exception=False)
    for path_, status in (("/odd/bug", 500), ("/nothing", 404)):
        answer = client.get(path_)
        assert answer.status_code == status
        assert answer["Content-Type"].startswith("text/html")
        assert "X-Request-Id" not in answer


def test_a_success_carries_its_request_id_too(alice: Person) -> None:
    answers = [alice.client().get("/api/auth/me") for _ in range(2)]
    first, second = (answer["X-Request-Id"] for answer in answers)
    assert first == answers[0]["request-id"] != second
