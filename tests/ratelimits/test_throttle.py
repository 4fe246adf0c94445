"""Throttles, through a view of DRF."""

import json

import pytest
from django.test import RequestFactory
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from hontoni import redis
from ratelimits.throttle import AddressThrottle, EmailThrottle, Throttle
from tests.ratelimits.world import advance, everything


class ByAddress(AddressThrottle):
    scope, limit, seconds = "login-address", 3, 600


class ByEmail(EmailThrottle):
    scope, limit, seconds = "login-email", 2, 900


class Login(APIView):
    authentication_classes = []
    permission_classes = []
    throttle_classes = [ByAddress, ByEmail]

    def post(self, request: Request) -> Response:
        return Response({})


def attempt(email: object = "alice@example.com", ip: str = "192.0.2.1") -> Response:
    request = RequestFactory().post(
        "/", json.dumps({"email": email}), content_type="application/json", REMOTE_ADDR=ip
    )
    response: Response = Login.as_view()(request)
    return response


def test_it_refuses_the_attempt_over_the_limit_and_says_when_to_come_back() -> None:
    assert [attempt(f"{n}@example.com").status_code for n in range(4)] == [200, 200, 200, 429]
    refused = attempt("5@example.com")
    assert 0 < int(refused["Retry-After"]) <= 600
    assert refused.data["error"]["code"] == "rate_limit_exceeded"


def test_an_address_is_free_again_when_its_oldest_attempt_is_old_enough() -> None:
    attempt("1@example.com")
    advance(300)
    attempt("2@example.com")
    attempt("3@example.com")
    assert attempt("4@example.com").status_code == 429
    advance(300)
    assert attempt("5@example.com").status_code == 200
    assert attempt("6@example.com").status_code == 429


def test_a_clock_set_back_locks_nobody_out() -> None:
    for n in range(3):
        attempt(f"{n}@example.com")
    advance(-3600)
    assert attempt("4@example.com").status_code == 200


def test_an_account_is_throttled_however_many_addresses_try_it() -> None:
    spellings = ("alice@example.com", " Alice@Example.com ", "ALICE@EXAMPLE.COM")
    answers = [attempt(name, f"192.0.2.{n}").status_code for n, name in enumerate(spellings)]
    assert answers == [200, 200, 429]
    assert attempt("bob@example.com", "192.0.2.9").status_code == 200


def test_a_refused_attempt_is_not_counted() -> None:
    for n in range(3):
        attempt(f"{n}@example.com")
    before = everything()
    assert attempt(email=None).status_code == 429
    assert everything() == before


def test_a_network_of_one_customer_counts_as_one_address() -> None:
    same = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:2::1")
    assert [attempt(None, ip).status_code for ip in same] == [200] * 3
    assert attempt(None, "2001:db8:1:2::77").status_code == 429
    assert attempt(None, "2001:db8:1:3::1").status_code == 200


def test_an_ipv4_address_written_as_ipv6_is_the_same_address() -> None:
    for ip in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"):
        attempt(None, ip)
    assert attempt(None, "::ffff:192.0.2.1").status_code == 429
    assert attempt(None, "::ffff:192.0.2.2").status_code == 200


def test_callers_without_an_address_are_counted_together() -> None:
    assert [attempt(None, "").status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize("email", [None, 5, ["a"], {"b": 1}])
def test_a_body_without_an_email_is_not_counted_by_email(email: object) -> None:
    assert [attempt(email, f"192.0.2.{n}").status_code for n in range(4)] == [200] * 4


def test_redis_holds_no_address_and_no_email_in_clear() -> None:
    attempt()
    assert len(everything()) == 2
    for key, (value, expires) in everything().items():
        assert expires
        assert b"alice" not in key + value
        assert b"192.0.2" not in key + value


def test_it_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise redis.RedisError("gone")

    monkeypatch.setattr(redis.Script, "run_sync", refuse)
    refused = attempt()
    assert (refused.status_code, refused["Retry-After"]) == (503, "2")


def test_a_throttle_must_say_who_counts_as_the_same() -> None:
    with pytest.raises(NotImplementedError):
        Throttle().identify(Request(RequestFactory().get("/")))
