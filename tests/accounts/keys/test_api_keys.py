from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.keys import api_keys
from accounts.models import ApiKey, User
from hontoni import errors
from tests.world import Person, at_once


def _version(person: Person) -> int:
    return User.objects.get(pk=person.user.pk).terms_version


def test_a_key_is_well_formed_and_not_stored(alice: Person) -> None:
    assert api_keys.well_formed(alice.raw)
    assert len(alice.raw) == 6 + 43 + 6
    assert (alice.key.prefix, alice.key.last4) == (alice.raw[:10], alice.raw[-4:])
    stored = ApiKey.objects.values_list().get(pk=alice.key.pk)
    assert alice.raw not in repr(stored)


def test_any_single_wrong_character_is_refused_without_io(alice: Person) -> None:
    for at, letter in enumerate(alice.raw):
        wrong = alice.raw[:at] + ("a" if letter != "a" else "b") + alice.raw[at + 1 :]
        assert not api_keys.well_formed(wrong)


@given(st.text(max_size=80) | st.from_regex(r"sk-gw-[0-9A-Za-z]{49}\n?", fullmatch=True))
def test_garbage_is_refused_without_io(text: str) -> None:
    assert not api_keys.well_formed(text)


def test_it_finds_a_key_by_its_digest(alice: Person, bob: Person) -> None:
    found = api_keys.find(api_keys.digest(alice.raw))
    assert found == alice.key
    assert api_keys.refusal(alice.key, timezone.now()) is None
    assert api_keys.find(api_keys.digest(alice.raw[:-1])) is None


def test_it_says_why_a_key_may_not_be_used(alice: Person, bob: Person, carol: Person) -> None:
    now = timezone.now()
    assert str(api_keys.refusal(carol.key, now)) == "This API key is revoked."
    alice.key.expires_at = now
    assert str(api_keys.refusal(alice.key, now)) == "This API key is expired."
    assert api_keys.refusal(alice.key, now - timedelta(seconds=1)) is None
    bob.key.user.is_active = False
    assert str(api_keys.refusal(bob.key, now)) == "This account is deactivated."


def test_revoking_raises_the_terms_once(alice: Person) -> None:
    before = _version(alice)
    api_keys.revoke(alice.key)
    at = alice.key.revoked_at
    api_keys.revoke(alice.key)
    assert at is not None and alice.key.revoked_at == at
    assert _version(alice) == before + 1


def test_a_rotated_key_works_on_for_the_overlap(alice: Person) -> None:
    before, now = _version(alice), timezone.now()
    successor, raw = api_keys.rotate(alice.key, timedelta(hours=1))
    assert api_keys.find(api_keys.digest(raw)) == successor
    assert (successor.name, successor.expires_at) == ("laptop", None)
    old = ApiKey.objects.get(pk=alice.key.pk)
    assert old.replaced_by == successor
    assert old.status(now + timedelta(minutes=59)) == "active"
    assert old.status(timezone.now() + timedelta(hours=1)) == "expired"
    assert _version(alice) == before + 1


def test_without_an_overlap_the_rotated_key_ends_at_once(alice: Person) -> None:
    api_keys.rotate(alice.key, timedelta(0))
    assert alice.key.status(timezone.now()) == "expired"


def test_a_successor_gets_the_lifetime_of_its_predecessor(alice: Person) -> None:
    now = timezone.now()
    key, _ = api_keys.mint(alice.user, "ci", now + timedelta(days=2))
    successor, _ = api_keys.rotate(key, timedelta(days=30))
    assert key.expires_at == now + timedelta(days=2)  # the overlap prolongs nothing
    assert successor.expires_at is not None
    lifetime = successor.expires_at - successor.created_at
    assert abs(lifetime - timedelta(days=2)) < timedelta(minutes=1)


def test_a_key_is_rotated_once(alice: Person, carol: Person) -> None:
    api_keys.rotate(alice.key, timedelta(days=1))
    for key in (alice.key, carol.key):
        with pytest.raises(errors.Conflict):
            api_keys.rotate(key, timedelta(days=1))
    assert ApiKey.objects.filter(user=alice.user).count() == 2


def test_an_overlap_is_at_most_thirty_days(alice: Person) -> None:
    with pytest.raises(ValueError):
        api_keys.rotate(alice.key, timedelta(days=30, seconds=1))
    assert ApiKey.objects.count() == 1


def test_the_cap_counts_neither_ended_keys_nor_rotations(alice: Person) -> None:
    User.objects.filter(pk=alice.user.pk).update(key_cap=2)
    second, _ = api_keys.mint(alice.user, "second")
    successor, _ = api_keys.rotate(second, timedelta(days=1))
    with pytest.raises(errors.Forbidden) as refused:
        api_keys.mint(alice.user, "third")
    assert refused.value.code == "key_limit_reached"
    api_keys.revoke(alice.key)
    api_keys.mint(alice.user, "third")
    with pytest.raises(errors.Forbidden):
        api_keys.mint(alice.user, "fourth")


def test_keys_made_one_after_another_never_use_more_slots_than_the_cap(alice: Person) -> None:
    User.objects.filter(pk=alice.user.pk).update(key_cap=3)
    subjects, key = [alice.key.subject], alice.key
    for _ in range(6):
        api_keys.revoke(key)
        key, _ = api_keys.mint(alice.user, "again")
        subjects.append(key.subject)
    assert subjects == [f"k{alice.user.pk}-{slot}" for slot in (0, 1, 2, 0, 1, 2, 0)]


def test_a_rotation_keeps_the_slot(alice: Person) -> None:
    successor, _ = api_keys.rotate(alice.key, timedelta(days=1))
    other, _ = api_keys.mint(alice.user, "other")
    assert successor.subject == alice.key.subject != other.subject


@pytest.mark.django_db(transaction=True)
def test_racing_requests_never_pass_the_cap(alice: Person) -> None:
    made = at_once(lambda: api_keys.mint(alice.user, "racer"), times=8)
    refused = [each for each in made if isinstance(each, errors.Forbidden)]
    assert len(refused) == 4
    assert len([each for each in made if isinstance(each, tuple)]) == 4
    assert len(set(ApiKey.objects.values_list("slot", flat=True))) == 5


@pytest.mark.django_db(transaction=True)
def test_racing_rotations_make_one_successor(alice: Person) -> None:
    def rotate() -> object:
        return api_keys.rotate(ApiKey.objects.get(pk=alice.key.pk), timedelta(0))

    made = at_once(rotate, times=4)
    assert len([each for each in made if isinstance(each, tuple)]) == 1
    assert len([each for each in made if isinstance(each, errors.Conflict)]) == 3
    assert ApiKey.objects.count() == 2


def test_it_notes_the_last_use_and_late_news_never_wins(alice: Person, bob: Person) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    api_keys.touch({alice.key.pk: (noon, "192.0.2.1"), bob.key.pk: (noon, "2001:db8::1")})
    api_keys.touch({alice.key.pk: (noon - timedelta(seconds=1), "192.0.2.9")})
    api_keys.touch({bob.key.pk: (noon + timedelta(seconds=1), "192.0.2.9"), 10**9: (noon, "::1")})
    uses = ApiKey.objects.order_by("pk").values_list("last_used_at", "last_used_ip")
    assert list(uses) == [(noon, "192.0.2.1"), (noon + timedelta(seconds=1), "192.0.2.9")]


def test_noting_the_last_use_takes_two_queries_however_many_keys(
    alice: Person, bob: Person, django_assert_num_queries: Any
) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    seen = {person.key.pk: (noon, "192.0.2.1") for person in (alice, bob)}
    with django_assert_num_queries(4):  # and a savepoint around them
        api_keys.touch(seen)
