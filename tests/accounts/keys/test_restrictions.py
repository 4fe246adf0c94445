"""What a key is restricted to, over /api/keys and on its page."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.keys import api_keys, restrictions
from accounts.models import ApiKey, User
from gateway.catalogue import snapshot
from gateway.catalogue.seed import seed
from hontoni.money import nanos
from tests.world import Person


@pytest.fixture
def as_alice(alice: Person) -> Client:
    client = Client()
    client.force_login(alice.user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


LIMITS = {
    "daily_spend_cap": "5.00",
    "monthly_spend_cap": "50.25",
    "lifetime_spend_cap": "200.00",
    "allowed_models": ["claude-sonnet-4", "gpt-4o"],
    "allowed_ips": ["203.0.113.0/24", "2001:db8::/32"],
}


@pytest.fixture(autouse=True)
def models(db: None) -> None:
    seed()
    snapshot.forget()


def patch(person: Person, **body: Any) -> Any:
    return person.client().patch(f"/api/keys/{person.key.pk}", body, format="json")


def test_a_key_is_made_with_limits(alice: Person) -> None:
    made = alice.client().post("/api/keys", {"name": "ci", **LIMITS}, format="json")
    assert made.status_code == 201
    assert {name: made.json()[name] for name in LIMITS} == LIMITS
    key = ApiKey.objects.get(pk=made.json()["id"])
    caps = (key.daily_cap, key.monthly_cap, key.lifetime_cap)
    assert caps == (nanos("5"), nanos("50.25"), nanos("200"))


def test_a_key_is_free_unless_something_is_said(alice: Person) -> None:
    made = alice.client().post("/api/keys", {"name": "ci"}, format="json").json()
    assert {name: made[name] for name in LIMITS} == {
        "daily_spend_cap": None,
        "monthly_spend_cap": None,
        "lifetime_spend_cap": None,
        "allowed_models": [],
        "allowed_ips": [],
    }


def test_limits_are_changed_one_by_one_and_every_gateway_hears_of_it(alice: Person) -> None:
    before = User.objects.get(pk=alice.user.pk).terms_version
    assert patch(alice, **LIMITS).json() | LIMITS == patch(alice, name="laptop").json()
    assert patch(alice, daily_spend_cap=None).json()["daily_spend_cap"] is None
    assert patch(alice).json()["monthly_spend_cap"] == "50.25"
    later = (timezone.now() + timedelta(days=9)).isoformat()
    assert patch(alice, expires_at=later).json()["expires_at"] is not None
    assert User.objects.get(pk=alice.user.pk).terms_version >= before + 4


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"daily_spend_cap": "0"}, "daily_spend_cap"),
        ({"daily_spend_cap": "-1"}, "daily_spend_cap"),
        ({"monthly_spend_cap": "1.005"}, "monthly_spend_cap"),
        ({"monthly_spend_cap": "much"}, "monthly_spend_cap"),
        ({"lifetime_spend_cap": "0"}, "lifetime_spend_cap"),
        ({"allowed_models": ["gpt-9"]}, "allowed_models"),
        ({"allowed_models": "gpt-4o"}, "allowed_models"),
        ({"allowed_ips": ["203.0.113.0/33"]}, "allowed_ips"),
        ({"allowed_ips": ["localhost"]}, "allowed_ips"),
        ({"allowed_ips": [f"10.0.{n}.0/24" for n in range(51)]}, "allowed_ips"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    alice: Person, body: dict[str, Any], param: str
) -> None:
    answer = patch(alice, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    alice.key.refresh_from_db()
    assert not (alice.key.daily_cap or alice.key.allowed_ips or alice.key.allowed_models)


def test_nobody_limits_the_key_of_another(alice: Person, bob: Person) -> None:
    answer = bob.client().patch(f"/api/keys/{alice.key.pk}", LIMITS, format="json")
    assert answer.status_code == 404


def test_an_ended_key_gets_no_new_end(carol: Person) -> None:
    later = (timezone.now() + timedelta(days=9)).isoformat()
    answer = patch(carol, expires_at=later)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "key_ended")


def test_ranges_are_written_one_way() -> None:
    told = [" 203.0.113.9/24", "203.0.113.0/24", "10.1.2.3", "2001:DB8::1/32"]
    assert restrictions.normalised(told) == ["203.0.113.0/24", "10.1.2.3/32", "2001:db8::/32"]


def test_rotating_keeps_them_and_they_stay_alike(alice: Person, api: APIClient) -> None:
    patch(alice, **LIMITS)
    alice.key.refresh_from_db()
    second, _ = api_keys.rotate(alice.key, timedelta(days=1))
    third, _ = api_keys.rotate(second, timedelta(days=1))
    assert third.purse == second.purse == alice.key.purse == f"p{alice.key.pk}"
    api_keys.change(third, daily_cap=7, name="third")
    rows = ApiKey.objects.filter(user=alice.user)
    assert set(rows.values_list("daily_cap", flat=True)) == {7}
    assert set(rows.values_list("name", flat=True)) == {"laptop", "third"}


# -- The page ------------------------------------------------------------------------------------

FORM = {
    "daily_cap": "5",
    "monthly_cap": "",
    "lifetime_cap": "200",
    "allowed_ips": "203.0.113.9/24\n2001:db8::/32",
    "allowed_models": ["gpt-4o"],
    "expires": "30",
}


def test_the_page_shows_and_changes_them(as_alice: Client, alice: Person) -> None:
    saved = as_alice.post(f"/keys/{alice.key.pk}/limits", FORM, follow=True)
    page = saved.content.decode()
    assert "It holds from the next request on" in page
    assert 'value="5.00"' in page and "203.0.113.0/24\n2001:db8::/32" in page
    alice.key.refresh_from_db()
    caps = (alice.key.daily_cap, alice.key.monthly_cap, alice.key.lifetime_cap)
    assert caps == (nanos("5"), None, nanos("200"))
    assert alice.key.allowed_models == ["gpt-4o"]
    assert alice.key.expires_at is not None
    listed = as_alice.get("/keys").content.decode()
    assert "$200.00 in all" in listed and "$5.00 a day" in listed and "2 IP ranges" in listed
    as_alice.post(f"/keys/{alice.key.pk}/limits", {"expires": ""})
    alice.key.refresh_from_db()
    free = ApiKey.objects.filter(daily_cap=None, allowed_ips=[], expires_at=None)
    assert free.filter(pk=alice.key.pk).exists()


def test_an_error_is_beside_its_field_and_nothing_typed_is_lost(
    as_alice: Client, alice: Person
) -> None:
    wrong = {**FORM, "allowed_ips": "nowhere"}
    page = as_alice.post(f"/keys/{alice.key.pk}/limits", wrong).content.decode()
    assert "nowhere is neither an IP address nor a range" in page
    assert 'value="5"' in page
    made = as_alice.post("/keys", {"name": "ci", "once": "", **wrong}).content.decode()
    assert "nowhere is neither" in made and 'value="ci"' in made


def test_a_new_key_is_made_with_limits_on_the_page(as_alice: Client, alice: Person) -> None:
    once = "0198c0de-0000-4000-8000-000000000001"
    as_alice.post("/keys", {"name": "ci", "once": once, **FORM})
    key = ApiKey.objects.get(name="ci")
    assert (key.daily_cap, key.allowed_models) == (nanos("5"), ["gpt-4o"])
