"""What every page of the admin has: before and after in the audit, a date to narrow by, pages of
large tables that are never counted."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection, models
from django.forms import JSONField
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiKey, User
from billing.books import audit
from billing.books.models import AuditEntry, Transfer
from cockpit import by_time
from cockpit.site import KeysetList, Watched
from gateway.catalogue.models import Model
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.usage.models import UsageEvent
from gateway.usage.request_ids import first_id
from gateway.vendors.models import Credential, Provider
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import fund
from tests.world import Person, used

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def owner() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("owner@example.com", "x", name="Owner"))
    return client


def form_of(page: Any) -> dict[str, Any]:
    """What the form on a page would send, unchanged."""
    form = page.context["adminform"].form
    given: dict[str, Any] = {}
    for name in form.fields:
        value = form[name].value()
        if value is not None and value is not False:  # but for a 0
            given[name] = value
    for formset in page.context["inline_admin_formsets"]:
        prefix = formset.formset.prefix
        given |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    return given


def last() -> AuditEntry:
    found: AuditEntry = AuditEntry.objects.order_by("-pk")[0]
    return found


def test_every_page_of_the_admin_is_watched() -> None:
    assert all(isinstance(page, Watched) for page in admin.site._registry.values())


def test_a_change_has_both_values(owner: Client, alice: Person) -> None:
    path = f"/admin/accounts/user/{alice.user.pk}/change/"
    group = Group.objects.create(name="friends")
    given = form_of(owner.get(path)) | {"name": "Alice B.", "groups": [group.pk]}
    assert owner.post(path, given).status_code == 302
    entry = last()
    assert (entry.action, entry.before) == ("change", {"name": "Alice", "groups": []})
    assert entry.after["name"] == "Alice B." and entry.after["groups"] == ["friends"]


def test_what_is_added_and_deleted_is_told_whole(owner: Client) -> None:
    assert owner.post("/admin/auth/group/add/", {"name": "Night shift"}).status_code == 302
    assert last().before == {} and last().after["name"] == "Night shift"
    group = Group.objects.get(name="Night shift")
    owner.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})
    assert last().action == "delete" and last().before["name"] == "Night shift"


@pytest.mark.parametrize(
    ("ticked", "typed", "kept"),
    [
        ([], "", []),
        (["tools", "vision"], "", ["tools", "vision"]),
        (["chat"], "tools, , maths,maths", ["chat", "tools", "maths"]),
        (["fly"], "", None),
    ],
)
def test_what_a_new_model_can_do_is_ticked_or_typed(
    owner: Client, ticked: list[str], typed: str, kept: list[str] | None
) -> None:
    form = form_of(owner.get("/admin/gateway/model/add/"))
    form |= {"id": "newest-4.5", "name": "Newest", "vendor": "openai", "upstream_id": "newest"}
    form |= {"dialect": "openai_chat", "context_window": 1000, "max_output": 100}
    form |= {"released_at_0": "2026-11-30", "released_at_1": "12:00:00"}
    owner.post("/admin/gateway/model/add/", form | {"capabilities": ticked, "others": typed})
    made = Model.objects.filter(pk="newest-4.5").first()
    assert (made.capabilities if made else None) == kept


def test_what_a_model_can_do_stays_where_nobody_changes_it(owner: Client) -> None:
    seed_catalogue()
    model = Model.objects.get(pk="claude-sonnet-4.5")
    noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
    can = ["chat", "maths", "tools"]
    Model.objects.filter(pk=model.pk).update(capabilities=can, released_at=noon)
    path = f"/admin/gateway/model/{model.pk}/change/"
    form = form_of(owner.get(path))
    assert (form["capabilities"], form["others"]) == (["tools", "chat"], "maths")
    form |= {"released_at_0": "2026-11-30", "released_at_1": "12:00:00"}
    answer = owner.post(path, form | {"name": "Renamed"})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert last().before["name"] == model.name and "capabilities" not in last().before
    owner.post(path, form | {"name": "Renamed", "others": ""})
    assert last().before["capabilities"] == can
    assert last().after["capabilities"] == ["tools", "chat"]


def test_staff_type_no_json() -> None:
    request = RequestFactory().get("/admin/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    for page in admin.site._registry.values():
        if page.has_add_permission(request) or page.has_change_permission(request):
            fields = page.get_form(request).base_fields
            assert not [n for n, f in fields.items() if isinstance(f, JSONField)], page


def test_no_secret_gets_into_the_audit(owner: Client, alice: Person) -> None:
    path = f"/admin/accounts/user/{alice.user.pk}/password/"
    word = "a quite different horse"
    given = {"password1": word, "password2": word, "usable_password": "true"}
    assert owner.post(path, given).status_code == 302
    entry = last()
    alice.user.refresh_from_db()
    assert entry.before == {"password": "•••"} and entry.after["password"] == "••• (another)"
    assert alice.user.password not in str((entry.before, entry.after))
    provider = Provider.objects.create(name="x", vendor="openai", base_url="https://x.example")
    form = form_of(owner.get("/admin/gateway/credential/add/"))
    form |= {"label": "main", "provider": provider.pk, "secret": "sk-very-secret", "active": "on"}
    answer = owner.post("/admin/gateway/credential/add/", form)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    for each in AuditEntry.objects.all():
        assert "sk-very-secret" not in str(each.after)
        assert Credential.objects.get().sealed not in str(each.after)


def test_an_action_on_a_list_has_both_values(owner: Client, alice: Person) -> None:
    chosen = {"action": "revoke", "_selected_action": [str(alice.key.pk)]}
    owner.post("/admin/accounts/apikey/", chosen)
    assert ApiKey.objects.get(pk=alice.key.pk).revoked_at is not None
    assert last().before == {"revoked_at": None} and last().after["revoked_at"]


def test_every_list_whose_rows_have_a_moment_can_be_narrowed_by_it(owner: Client) -> None:
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(email="owner@example.com")
    for model, page in admin.site._registry.items():
        if any(isinstance(f, models.DateField) for f in model._meta.concrete_fields):
            shown = page.get_changelist_instance(request).filter_specs
            kinds = {type(each).__name__ for each in shown}
            assert any("Date" in kind for kind in kinds), (model, kinds)


def test_pages_of_a_large_table_follow_each_other_and_count_nothing(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    finance = staff("finance")
    made = [used(alice) for _ in range(5)]
    page = admin.site._registry[type(made[0])]
    monkeypatch.setattr(page, "list_per_page", 2)
    seen, path = [], "/admin/gateway/usageevent/"
    with CaptureQueriesContext(connection) as queries:
        while path:
            cl: Any = finance.get(path).context["cl"]
            assert isinstance(cl, KeysetList)
            seen += [row.pk for row in cl.result_list]
            path = f"/admin/gateway/usageevent/{cl.older}" if cl.older else ""
    assert seen == [each.pk for each in reversed(made)]
    asked = [q["sql"] for q in queries if '"gateway_usageevent"' in q["sql"]]
    assert not [sql for sql in asked if "COUNT(" in sql or "DISTINCT" in sql]
    assert finance.get("/admin/gateway/usageevent/?before=nonsense").status_code == 200


@pytest.mark.parametrize("large", [0, by_time.LARGE])
def test_a_large_table_is_narrowed_by_time_as_a_small_one_is(
    alice: Person, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of requests, whose ids begin with their time, and of transfers, whose ids rise with it."""
    monkeypatch.setattr(by_time, "LARGE", large)
    finance, now = staff("finance"), timezone.now()
    days = [now - timedelta(days=n) for n in range(4)]
    ids = [uuid.UUID(int=first_id(day.timestamp()).int + 1) for day in days]
    for pk, day in zip(ids, days, strict=True):
        UsageEvent.objects.filter(pk=used(alice, id=pk).pk).update(created_at=day)
    moved: list[int] = []
    for day in reversed(days):
        with mock.patch("django.utils.timezone.now", return_value=day):
            fund(alice, "1")
        moved.insert(0, Transfer.objects.latest("pk").pk)
    for table, rows in (("gateway/usageevent", ids), ("billing/transfer", moved)):
        path = f"/admin/{table}/"
        for first, last in ((0, 0), (1, 2), (2, 3)):
            since = f"{days[last].date()} 00:00:00+00:00"
            until = f"{days[first].date() + timedelta(days=1)} 00:00:00+00:00"
            given = {"created_at__gte": since, "created_at__lt": until}
            found: Any = finance.get(path, given).context["cl"].result_list
            assert [row.pk for row in found] == rows[first : last + 1], (table, first, last)
        assert finance.get(path, {"created_at__gte": "nonsense"}).status_code == 302


def test_the_zone_of_times_is_named_and_is_what_each_of_staff_chose(
    owner: Client, alice: Person
) -> None:
    assert "Times are those of UTC" in owner.get("/admin/").content.decode()
    event = used(alice)
    at = datetime(2026, 11, 30, 20, 30, tzinfo=UTC)
    UsageEvent.objects.filter(pk=event.pk).update(created_at=at)
    chosen = {"time_zone": "Asia/Ho_Chi_Minh", "language": "en"}
    assert owner.post("/admin/preferences", chosen).status_code == 302
    path = "/admin/gateway/usageevent/"
    page = owner.get(path).content.decode()
    assert "Times are those of Asia/Ho_Chi_Minh (UTC+07:00)" in page
    assert "3:30 a.m." in page or "03:30" in page
    (dates,) = [f for f in owner.get(path).context["cl"].filter_specs if hasattr(f, "links")]
    today = dict(dates.links[1][1])["created_at__gte"]
    assert str(today).endswith("00:00:00+07:00"), (
        "a day to filter by begins at the reader's midnight"
    )


def test_no_time_zone_is_made_up(owner: Client) -> None:
    page = owner.post("/admin/preferences", {"time_zone": "Mars/Olympus", "language": "en"})
    assert page.status_code == 200
    assert User.objects.get(email="owner@example.com").time_zone == ""


def test_what_is_told_is_forgotten_again() -> None:
    with audit.told({"a": 1}, {"a": 2}):
        pass
    assert audit._told.get() is None
