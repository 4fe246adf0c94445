import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import ApiKey, User
from accounts.sign_in import tokens
from tests.world import PASSWORD, Person

KEYS = "/admin/accounts/apikey/"
USERS = "/admin/accounts/user/"


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff(db: None) -> Client:
    return _client(User.objects.create_superuser("staff@example.com", PASSWORD))


def test_staff_finds_keys_and_people_but_never_a_digest(staff: Client, alice: Person) -> None:
    stored = bytes(ApiKey.objects.get(pk=alice.key.pk).digest)
    for url in (
        f"{KEYS}?q=alice",
        f"{KEYS}{alice.key.pk}/change/",
        f"{USERS}?q=alice",
        f"{USERS}{alice.user.pk}/change/",
        f"{USERS}{alice.user.pk}/password/",
        f"{USERS}add/",
        "/admin/auth/group/",
    ):
        page = staff.get(url)
        assert page.status_code == 200, url
        for secret in (stored.hex(), repr(stored), alice.raw):
            assert secret not in page.content.decode()


def _revoke(client: Client, key: ApiKey) -> int:
    form = {"action": "revoke", "_selected_action": [key.pk]}
    return client.post(KEYS, form, follow=True).status_code


def test_staff_revokes_a_key_at_once(staff: Client, alice: Person) -> None:
    assert _revoke(staff, alice.key) == 200
    assert ApiKey.objects.get(pk=alice.key.pk).status(timezone.now()) == "revoked"
    assert User.objects.get(pk=alice.user.pk).terms_version == 2


def test_who_may_only_look_revokes_nothing(alice: Person) -> None:
    viewer = User.objects.create_user("viewer@example.com", PASSWORD, is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client = _client(viewer)
    assert client.get(KEYS).status_code == 200
    _revoke(client, alice.key)
    assert ApiKey.objects.get(pk=alice.key.pk).status(timezone.now()) == "active"


@pytest.mark.parametrize("url", [f"{KEYS}add/", f"{KEYS}1/delete/", f"{USERS}1/delete/"])
def test_keys_are_not_made_and_nothing_is_deleted_here(staff: Client, url: str) -> None:
    assert staff.get(url).status_code in (302, 403)
    assert staff.post(url, {"post": "yes"}).status_code in (302, 403)
    assert User.objects.count() == 1


def _save(staff: Client, user: User, **changes: object) -> None:
    form = {"email": user.email, "name": user.name, "is_active": "on", **changes}
    filled = {name: value for name, value in form.items() if value is not None}
    answer = staff.post(f"{USERS}{user.pk}/change/", filled)
    assert answer.status_code == 302, answer.content.decode()


def test_deactivating_an_account_raises_its_terms_and_ends_its_sessions(
    staff: Client, alice: Person
) -> None:
    client = alice.client()
    _save(staff, alice.user, is_active=None)
    found = User.objects.get(pk=alice.user.pk)
    assert (found.is_active, found.terms_version) == (False, 2)
    assert client.get("/api/auth/me").status_code == 401


def test_renaming_an_account_leaves_its_terms_alone(staff: Client, alice: Person) -> None:
    _save(staff, alice.user, name="Alice Liddell", email="Alice@Wonder.land")
    found = User.objects.get(pk=alice.user.pk)
    assert (found.name, found.email, found.terms_version) == (
        "Alice Liddell",
        "alice@wonder.land",
        1,
    )


def test_a_password_set_by_staff_ends_the_sessions(staff: Client, alice: Person) -> None:
    access = tokens.issue(alice.user).access_token
    new = "a different horse battery"
    form = {"password1": new, "password2": new, "usable_password": "true"}
    assert staff.post(f"{USERS}{alice.user.pk}/password/", form).status_code == 302
    me = APIClient().get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {access}")
    assert me.status_code == 401


def test_staff_signs_in_in_whatever_case(db: None) -> None:
    User.objects.create_superuser("staff@example.com", PASSWORD)
    client = Client()
    door = client.get("/admin/login/?next=/admin/")["Location"]  # the one customers use
    form = {"login": "Staff@Example.com", "password": PASSWORD, "next": "/admin/"}
    assert client.post(door, form)["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_an_account_made_by_staff_can_log_in(staff: Client, api: APIClient) -> None:
    form = {
        "email": "Dave@Example.com",
        "name": "Dave",
        "password1": PASSWORD,
        "password2": PASSWORD,
        "usable_password": "true",
    }
    assert staff.post(f"{USERS}add/", form).status_code == 302
    body = {"email": "dave@example.com", "password": PASSWORD}
    assert api.post("/api/auth/login", body, format="json").status_code == 200
