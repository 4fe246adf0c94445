import pytest
from django.db import transaction
from pytest_django import Settings

from accounts.keys import api_keys
from accounts.models import User
from accounts.people import terms
from hontoni import redis
from ratelimits import keys as redis_keys
from tests.world import Person


def test_a_change_raises_the_version_of_that_account_only(alice: Person, bob: Person) -> None:
    terms.changed(alice.user.pk)
    terms.changed(alice.user.pk)
    versions = dict(User.objects.values_list("email", "terms_version"))
    assert versions == {"alice@example.com": 3, "bob@example.com": 1}


def test_saving_a_row_read_before_turns_nothing_back(alice: Person) -> None:
    stale = User.objects.get(pk=alice.user.pk)
    terms.changed(alice.user.pk)
    User.objects.filter(pk=alice.user.pk).update(key_cap=50)
    stale.name = "Alice Liddell"
    stale.save()
    found = User.objects.get(pk=alice.user.pk)
    assert (found.name, found.terms_version, found.key_cap) == ("Alice Liddell", 2, 50)


@pytest.mark.django_db(transaction=True)
def test_a_revoked_key_is_announced_when_it_is_committed_and_not_before(alice: Person) -> None:
    account = redis_keys.account(alice.user.pk)
    with transaction.atomic():
        api_keys.revoke(alice.key)
        assert redis.sync().hget(account, "terms") is None
    assert redis.sync().hget(account, "terms") == b"2"


@pytest.mark.django_db(transaction=True)
def test_a_change_stands_when_redis_is_gone(
    alice: Person, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    redis.sync.cache_clear()
    try:
        api_keys.revoke(alice.key)
    finally:
        redis.sync.cache_clear()
    assert User.objects.get(pk=alice.user.pk).terms_version == 2
    assert "are not published" in caplog.text
