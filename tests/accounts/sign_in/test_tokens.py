from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.backends import TokenBackend

from accounts import tasks
from accounts.models import RefreshToken, User
from accounts.sign_in import tokens
from hontoni import errors
from hontoni.checks import deployment
from tests.world import PASSWORD, Person, at_once


def _me(access_token: str) -> int:
    client = APIClient()
    answer = client.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {access_token}")
    return int(answer.status_code)


def test_a_session_goes_on_with_every_refresh(alice: Person) -> None:
    session = tokens.issue(alice.user)
    for _ in range(3):
        session = tokens.rotate(session.refresh_token)
        assert _me(session.access_token) == 200
    assert RefreshToken.objects.values("family").distinct().count() == 1


def test_no_token_is_stored_in_clear(alice: Person) -> None:
    session = tokens.issue(alice.user)
    stored = repr([bytes(t.digest) for t in RefreshToken.objects.all()])
    assert session.refresh_token not in stored and session.access_token not in stored


def test_reuse_ends_the_whole_family_and_no_other(alice: Person) -> None:
    other = tokens.issue(alice.user)
    first = tokens.issue(alice.user)
    second = tokens.rotate(first.refresh_token)
    for refresh in (first, second):
        with pytest.raises(errors.Unauthenticated):
            tokens.rotate(refresh.refresh_token)
    assert _me(second.access_token) == 401
    assert _me(other.access_token) == 200
    tokens.rotate(other.refresh_token)


@pytest.mark.django_db(transaction=True)
def test_of_racing_refreshes_one_wins_and_the_family_ends(alice: Person) -> None:
    first = tokens.issue(alice.user)
    got = at_once(lambda: tokens.rotate(first.refresh_token), times=6)
    won = [each for each in got if isinstance(each, tokens.Session)]
    assert len(won) == 1
    assert len([each for each in got if isinstance(each, errors.Unauthenticated)]) == 5
    assert not RefreshToken.objects.filter(revoked_at=None).exists()
    assert _me(won[0].access_token) == 401


@pytest.mark.django_db(transaction=True)
def test_a_logout_misses_no_successor_that_is_just_being_made(alice: Person) -> None:
    for _ in range(5):
        refresh = tokens.issue(alice.user).refresh_token
        calls: list[Callable[[str], object]] = [tokens.revoke_family, tokens.rotate]
        at_once(partial(_pop_and_call, calls, refresh), times=2)
        assert not RefreshToken.objects.filter(revoked_at=None).exists()


def _pop_and_call(calls: list[Callable[[str], object]], refresh: str) -> object:
    return calls.pop()(refresh)


def test_another_password_ends_every_session(alice: Person) -> None:
    session = tokens.issue(alice.user)
    user = User.objects.get(pk=alice.user.pk)
    user.set_password("another " + PASSWORD)
    user.save()
    assert _me(session.access_token) == 401
    with pytest.raises(errors.Unauthenticated):
        tokens.rotate(session.refresh_token)


def test_a_deactivated_account_has_no_sessions(alice: Person) -> None:
    session = tokens.issue(alice.user)
    User.objects.filter(pk=alice.user.pk).update(is_active=False)
    assert _me(session.access_token) == 401
    with pytest.raises(errors.Unauthenticated):
        tokens.rotate(session.refresh_token)


def test_tokens_expire(alice: Person, settings: Settings) -> None:
    settings.ACCESS_TOKEN_LIFETIME = timedelta(seconds=-1)
    settings.REFRESH_TOKEN_LIFETIME = timedelta(seconds=-1)
    session = tokens.issue(alice.user)
    assert _me(session.access_token) == 401
    with pytest.raises(errors.Unauthenticated):
        tokens.rotate(session.refresh_token)


def test_a_token_of_another_audience_or_key_is_refused(alice: Person, settings: Settings) -> None:
    session = tokens.issue(alice.user)
    claims = tokens._claims(session.access_token)
    elsewhere = TokenBackend("HS256", settings.SECRET_KEY, audience="v1", issuer="hontoni")
    assert _me(elsewhere.encode({**claims})) == 401
    forged = TokenBackend("HS256", "x" * 64, audience="api", issuer="hontoni")
    assert _me(forged.encode(claims)) == 401
    assert _me(session.refresh_token) == 401


def test_authentication_takes_one_query(
    alice: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = alice.client()
    with django_assert_num_queries(1):
        assert client.get("/api/auth/me").status_code == 200


@pytest.mark.parametrize(
    ("minutes", "days", "told"),
    [
        (10, 30, []),
        (60, 1, []),
        (9, 30, ["hontoni.E004"]),
        (61, 30, ["hontoni.E004"]),
        (30, 0, ["hontoni.E005"]),
    ],
)
def test_odd_lifetimes_are_refused_at_the_start(
    settings: Settings, minutes: int, days: int, told: list[str]
) -> None:
    settings.ACCESS_TOKEN_LIFETIME = timedelta(minutes=minutes)
    settings.REFRESH_TOKEN_LIFETIME = timedelta(days=days)
    assert [found.id for found in deployment()] == told


def test_expired_refresh_tokens_are_forgotten(alice: Person, settings: Settings) -> None:
    kept = tokens.issue(alice.user)
    settings.REFRESH_TOKEN_LIFETIME = timedelta(seconds=-1)
    tokens.issue(alice.user)
    assert tasks.forget_expired_sessions() == 1
    tokens.rotate(kept.refresh_token)
