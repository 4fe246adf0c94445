"""What a response says about limits."""

import pytest

from hontoni import errors
from hontoni.money import nanos
from ratelimits.headers import Header, duration, rate_limit_lines, refusal
from ratelimits.limiter import Limits, State

STANDARD = Limits(rpm=12, five_hours=45, daily=250, weekly=275, monthly=1100, concurrent=2)
NOW = 1_790_000_000_250_000  # 2026-09-21 14:13:20.25 UTC

# Letter for letter from our public documentation.
DOCUMENTED = """
X-RateLimit-Limit-RPM: 12
X-RateLimit-Remaining-RPM: 11
X-RateLimit-Limit-Daily: 250
X-RateLimit-Remaining-Daily: 248
X-RateLimit-Limit-5h: 45
X-RateLimit-Remaining-5h: 43
X-RateLimit-Limit-Weekly: 275
X-RateLimit-Remaining-Weekly: 270
X-RateLimit-Limit-Monthly: 1100
X-RateLimit-Remaining-Monthly: 1095
X-RateLimit-Concurrent-Limit: 2
X-RateLimit-Concurrent-Active: 1
"""


def state(
    limits: Limits = STANDARD, used: tuple[int, ...] = (1, 2, 2, 5, 5), **more: object
) -> State:
    values = (limits.rpm, limits.five_hours, limits.daily, limits.weekly, limits.monthly)
    resets = (59_001, 17_999_999, 86_400_000, 1, 0)
    names = ("rpm", "5h", "daily", "weekly", "monthly")
    windows = tuple(zip(names, values, used, resets, strict=True))
    usual: dict[str, object] = {"status": "ok", "active": 1, "now": NOW, "windows": windows}
    return State(**(usual | more))  # type: ignore[arg-type]


def read(headers: list[Header]) -> dict[str, str]:
    assert len({name for name, _ in headers}) == len(headers)
    return {name.decode(): value.decode() for name, value in headers}


def rate_limit_headers(state: State | None, limits: Limits | None) -> list[Header]:
    """Those of one response, as its lines have them."""
    split = (line.partition(b": ") for line in rate_limit_lines(state, limits).split(b"\r\n")[:-1])
    return [(name, value) for name, _, value in split]


def test_the_documented_example_is_what_we_send() -> None:
    sent = read(rate_limit_headers(state(), STANDARD))
    for line in DOCUMENTED.split("\n")[1:-1]:
        name, value = line.split(": ")
        assert sent[name.lower()] == value


def test_names_are_in_lower_case_as_asgi_demands() -> None:
    for headers in (rate_limit_headers(state(), STANDARD), rate_limit_headers(None, None)):
        assert all(name == name.lower() for name, _ in headers)


def test_resets_are_whole_seconds_rounded_up_and_zero_when_nothing_is_open() -> None:
    sent = read(rate_limit_headers(state(), STANDARD))
    names = ("rpm", "5h", "daily", "weekly", "monthly")
    resets = [sent[f"x-ratelimit-reset-{name}"] for name in names]
    assert resets == ["60", "18000", "86400", "1", "0"]


def test_the_ietf_pair_names_every_policy_and_the_tightest_window() -> None:
    sent = read(rate_limit_headers(state(), STANDARD))
    assert sent["ratelimit-policy"] == (
        '"rpm";q=12;w=60, "5h";q=45;w=18000, "daily";q=250;w=86400, "weekly";q=275;w=604800, '
        '"monthly";q=1100;w=2592000, "concurrent";q=2;qu="concurrent-requests"'
    )
    assert sent["ratelimit"] == '"rpm";r=11;t=60'


def test_the_binding_limit_is_the_one_in_the_ietf_pair() -> None:
    spent = state(used=(12, 45, 250, 5, 5), status="refused", binding="daily")
    assert read(rate_limit_headers(spent, STANDARD))["ratelimit"] == '"daily";r=0;t=86400'
    busy = state(status="refused", binding="concurrent", retry_after_ms=1000, active=2)
    assert read(rate_limit_headers(busy, STANDARD))["ratelimit"] == '"concurrent";r=0;t=1'


def test_nothing_remaining_is_never_less_than_zero() -> None:
    sent = read(rate_limit_headers(state(used=(99, 99, 999, 999, 9999)), STANDARD))
    assert sent["x-ratelimit-remaining-rpm"] == sent["x-ratelimit-remaining-monthly"] == "0"


def test_where_nobody_is_known_every_number_is_zero() -> None:
    sent = read(rate_limit_headers(None, None))
    numbers = {name: value for name, value in sent.items() if name.startswith("x-")}
    assert len(numbers) == 17
    assert set(numbers.values()) == {"0"}
    assert sent["ratelimit"] == '"rpm";r=0;t=0'
    assert sent["ratelimit-policy"].count("q=0") == 6


@pytest.mark.parametrize("unheard", [None, State("stale")])
def test_without_a_state_limits_are_told_and_nothing_is_promised(unheard: State | None) -> None:
    sent = read(rate_limit_headers(unheard, STANDARD))
    assert sent["x-ratelimit-limit-rpm"] == "12"
    assert sent["x-ratelimit-remaining-rpm"] == "0"
    assert sent["x-ratelimit-concurrent-active"] == "0"
    assert set(sent) == set(read(rate_limit_headers(state(), STANDARD)))


def test_no_limit_is_told_as_the_largest_number_and_not_as_a_policy() -> None:
    limits = Limits(rpm=12)
    sent = read(rate_limit_headers(state(limits), limits))
    assert sent["x-ratelimit-limit-5h"] == sent["x-ratelimit-remaining-5h"] == "2147483647"
    assert sent["x-ratelimit-concurrent-limit"] == "2147483647"
    assert sent["ratelimit-policy"] == '"rpm";q=12;w=60'
    unlimited = read(rate_limit_headers(state(Limits()), Limits()))
    assert "ratelimit" not in unlimited and "ratelimit-policy" not in unlimited


REFUSALS = [
    ("rpm", "rate_limit_exceeded", "12 requests per minute"),
    ("5h", "plan_limit_5h", "45 requests per 5 hours"),
    ("daily", "plan_limit_daily", "250 requests per day"),
    ("weekly", "plan_limit_weekly", "275 requests per week"),
    ("monthly", "plan_limit_monthly", "1100 requests per 30 days"),
    ("concurrent", "concurrency_limit", "2 concurrent requests"),
]


@pytest.mark.parametrize(("binding", "code", "words"), REFUSALS)
def test_a_refusal_names_the_limit_the_number_and_when_it_frees(
    binding: str, code: str, words: str
) -> None:
    refused = state(status="refused", binding=binding, retry_after_ms=11_523_001)
    error = refusal(refused, STANDARD)
    assert isinstance(error, errors.RateLimited)
    assert (error.status, error.code) == (429, code)
    assert error.message == (
        f"You have reached your limit of {words}. "
        "Try again in 3 hours, 12 minutes and 4 seconds, at 2026-09-21 17:25:25 UTC."
    )
    assert error.headers == {"Retry-After": "11524", "x-should-retry": "false"}


@pytest.mark.parametrize(
    ("ms", "headers"),
    [
        (1, {"Retry-After": "1", "retry-after-ms": "1"}),
        (1000, {"Retry-After": "1", "retry-after-ms": "1000"}),
        (59_001, {"Retry-After": "60", "retry-after-ms": "59001"}),
        (60_000, {"Retry-After": "60", "retry-after-ms": "60000"}),
        (60_001, {"Retry-After": "61", "x-should-retry": "false"}),
    ],
)
def test_clients_may_sleep_through_a_short_wait_and_must_not_through_a_long_one(
    ms: int, headers: dict[str, str]
) -> None:
    refused = state(status="refused", binding="rpm", retry_after_ms=ms)
    assert refusal(refused, STANDARD).headers == headers


def test_a_low_balance_asks_for_funds_and_not_for_patience() -> None:
    refused = state(status="refused", binding="balance", balance=nanos("0.0105"))
    error = refusal(refused, STANDARD)
    assert (error.status, error.code) == (402, "insufficient_balance")
    assert "$0.0105 is too low" in error.message
    assert error.headers == {"x-should-retry": "false"}


def test_a_balance_on_hold_asks_for_patience() -> None:
    refused = state(status="refused", binding="hold", balance=nanos("3"), held=nanos("2.5"))
    error = refusal(refused, STANDARD)
    assert (error.status, error.code) == (402, "balance_on_hold")
    assert "$2.50 of your balance of $3.00" in error.message
    assert error.headers == {"Retry-After": "2"}


def test_an_ended_request_is_told_to_come_again() -> None:
    error = refusal(state(status="refused", binding="settled"), STANDARD)
    assert (error.status, error.headers) == (503, {"Retry-After": "1"})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (60, "1 minute"),
        (3605, "1 hour and 5 seconds"),
        (2_592_000, "30 days"),
        (93_784, "1 day, 2 hours, 3 minutes and 4 seconds"),
    ],
)
def test_durations_are_words(seconds: int, words: str) -> None:
    assert duration(seconds) == words
