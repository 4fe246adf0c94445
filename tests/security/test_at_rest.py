"""A stolen copy of what we keep opens nothing; a secret goes to nobody it was not meant for."""

import base64
import json
import os
import subprocess
import sys
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from accounts.sign_in import factors
from accounts.sign_in.mail_adapter import send_mail
from gateway.catalogue.seed import seed
from gateway.dashboard.roles import seed as seed_roles
from gateway.reconciliation.vendors import report_fetching
from gateway.reconciliation.vendors.asking import Refused
from gateway.reconciliation.vendors.models import ReportSource
from gateway.vendors import models as vendors
from gateway.vendors import routes, vault
from gateway.vendors.models import Credential, Provider
from hontoni import private, redis, unsent
from tests.world import PASSWORD, Person

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

SEED = "JBSWY3DPEHPK3PXP"
SECRET = "sk-very-secret-0123456789"
TODAY = date(2026, 11, 30)
OURS, THEIRS = "https://api.example.com/v1", "https://evil.example/v1"


# -- Vendors' credentials ------------------------------------------------------------------------


@pytest.fixture
def staff() -> Client:
    """Whoever may keep the catalogue, and reads no secret."""
    seed()
    seed_roles()
    user = User.objects.create_user("ops@example.com", PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="catalogue"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def provider(staff: Client) -> Provider:
    made = Provider.objects.create(name="acme", vendor="openai", base_url=OURS)
    enter(staff, made)
    assert sent_to() == ["api.example.com"]
    return made


def enter(staff: Client, provider: Provider, **fields: Any) -> Any:
    body = {"provider": provider.pk, "label": "main", "priority": 0, "weight": 1, "active": "on"}
    found = Credential.objects.first()
    page = f"{found.pk}/change/" if found else "add/"
    return staff.post(
        f"/admin/gateway/credential/{page}",
        body | ({} if found else {"secret": SECRET}) | fields,
    )


def move(staff: Client, provider: Provider, **fields: Any) -> None:
    body = {
        "name": provider.name,
        "vendor": provider.vendor,
        "base_url": provider.base_url,
        "everything": "on",
        "active": "on",
        "offerings-TOTAL_FORMS": 0,
        "offerings-INITIAL_FORMS": 0,
    }
    answer = staff.post(f"/admin/gateway/provider/{provider.pk}/change/", body | fields)
    assert answer.status_code == 302, answer.content.decode()


def sent_to() -> list[str]:
    """The hosts that a secret is ready to be sent to."""
    models = [("gpt-4o", "openai", "openai_chat"), ("c", "anthropic", "anthropic_messages")]
    pools = routes.load(models).values()
    return sorted({route.access.origin.host for pool in pools for route in pool.routes})


@pytest.mark.parametrize(
    "moved",
    [
        {"base_url": THEIRS},
        {"base_url": "http://api.example.com/v1"},
        {"base_url": "https://api.example.com:8443/v1"},
        {"vendor": "anthropic"},
    ],
    ids=["host", "scheme", "port", "vendor"],
)
def test_a_credential_does_not_follow_its_provider(
    staff: Client, provider: Provider, moved: dict[str, str]
) -> None:
    move(staff, provider, **moved)
    assert sent_to() == [] and not Credential.objects.get().active
    assert enter(staff, provider).status_code == 200  # switching it on is not enough
    assert sent_to() == []
    assert enter(staff, provider, secret="sk-another").status_code == 302
    assert len(sent_to()) == 1


def test_it_does_not_move_to_another_provider(staff: Client, provider: Provider) -> None:
    other = Provider.objects.create(name="evil", vendor="openai", base_url=THEIRS)
    assert enter(staff, other).status_code == 200
    assert sent_to() == ["api.example.com"]
    Credential.objects.update(provider=other)  # by whatever other door
    assert sent_to() == []


@pytest.mark.parametrize(
    "base_url",
    [
        "https://a.example:99999",
        "https://a.example:0",
        "https://a.example:x",
        "http://[::1",
        "http://a..b",
    ],
)
def test_what_is_no_address_is_refused(staff: Client, provider: Provider, base_url: str) -> None:
    body = {"name": "ours", "vendor": "openai", "base_url": base_url, "active": "on"}
    formset = {"offerings-TOTAL_FORMS": 0, "offerings-INITIAL_FORMS": 0}
    page = f"/admin/gateway/provider/{provider.pk}/change/"
    assert staff.post(page, body | formset).status_code == 200
    assert sent_to() == ["api.example.com"]


def test_another_path_of_the_same_host_keeps_it(staff: Client, provider: Provider) -> None:
    move(staff, provider, base_url="https://API.example.com")
    assert sent_to() == ["api.example.com"]


def test_one_of_before_is_bound_before_its_provider_moves(
    staff: Client, provider: Provider
) -> None:
    Credential.objects.update(entered_for="")
    assert sent_to() == ["api.example.com"]
    move(staff, provider, base_url=THEIRS)
    assert sent_to() == []


def test_starting_binds_those_of_before(staff: Client, provider: Provider) -> None:
    Credential.objects.update(entered_for="")
    vendors.bind()
    Provider.objects.update(base_url=THEIRS)
    assert sent_to() == []


def test_the_secret_of_a_report_does_not_follow_its_address(staff: Client) -> None:
    body = {"vendor": "openai", "account": "default", "active": "on", "secret": SECRET}
    assert staff.post("/admin/gateway/reportsource/add/", body).status_code == 302
    source = ReportSource.objects.get()
    assert source.is_at_home
    page, moved = f"/admin/gateway/reportsource/{source.pk}/change/", {"base_url": THEIRS}
    for none in (moved, {"base_url": "https://a.example:99999"}, {"base_url": "http://[::1"}):
        assert staff.post(page, body | none | {"secret": ""}).status_code == 200
    ReportSource.objects.update(base_url=THEIRS)
    source.refresh_from_db()
    with pytest.raises(Refused, match="Enter the secret again"):
        report_fetching.fetch(source, TODAY, TODAY, by="test")


# -- Second factors ------------------------------------------------------------------------------


def code() -> str:
    counter = next(totp.yield_hotp_counters_from_time())
    return str(totp.format_hotp_value(totp.hotp_value(SEED, counter)))


def opens(given: str) -> bool:
    body = {"email": "alice@example.com", "password": PASSWORD, "code": given}
    answer = APIClient().post("/api/auth/login", body, format="json")
    return bool(answer.status_code == 200)


def kept() -> str:
    return json.dumps(list(Authenticator.objects.values_list("data", flat=True)))


def test_seeds_are_sealed(alice: Person) -> None:
    totp.TOTP.activate(alice.user, SEED)
    codes = RecoveryCodes.activate(alice.user)
    assert SEED not in kept() and kept().count("sealed:") == 2
    assert opens(code()) and opens(codes.get_unused_codes()[0])


def test_seeds_of_before_open_and_are_sealed(alice: Person) -> None:
    Authenticator.objects.create(user=alice.user, type="totp", data={"secret": SEED})
    clear = {"migrated_codes": ["12345678", "23456789"]}
    Authenticator.objects.create(user=alice.user, type="recovery_codes", data=clear)
    assert opens("12345678")
    factors.seal_clear()
    assert SEED not in kept() and "23456789" not in kept()
    assert opens(code()) and opens("23456789")
    before = kept()
    factors.seal_clear()
    assert kept() == before


def test_they_are_sealed_anew_with_the_credentials(alice: Person, settings: Settings) -> None:
    old, new = "o" * 40, "n" * 40
    settings.CREDENTIAL_KEYS = [old]
    totp.TOTP.activate(alice.user, SEED)
    provider = Provider.objects.create(name="acme", vendor="openai", base_url=OURS)
    Credential.objects.create(provider=provider, label="main", sealed=vault.seal(SECRET))
    settings.CREDENTIAL_KEYS = [new, old]
    out = StringIO()
    call_command("reseal", stdout=out)
    assert "1 second factors" in out.getvalue()
    settings.CREDENTIAL_KEYS = [new]
    assert opens(code())


# -- Sessions and mails --------------------------------------------------------------------------


def everything_in_valkey() -> bytes:
    found = []
    for key in redis.sync().scan_iter(count=1000):
        kind = redis.sync().type(key)
        read = {b"string": redis.sync().get, b"list": lambda k: redis.sync().lrange(k, 0, -1)}
        found.append(repr((key, read.get(kind, lambda _: None)(key))).encode())
    return b"\n".join(found)


def everything_about_sessions() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_key FROM usersessions_usersession")
        return [key for (key,) in cursor.fetchall()]


def test_a_copy_of_the_sessions_opens_none(client: Client, alice: Person) -> None:
    client.post("/account/login/", {"login": "alice@example.com", "password": PASSWORD})
    client.get("/account/2fa/totp/activate/")
    assert client.get("/account").status_code == 200
    cookie = client.cookies["sessionid"].value
    kept = everything_in_valkey()
    assert b"session:" in kept and cookie.encode() not in kept
    (listed,) = everything_about_sessions()
    names = [key.decode().rpartition(":")[2] for key in redis.sync().scan_iter("*session:*")]
    for stolen in (listed, *names):
        assert stolen != cookie
        thief = Client()
        thief.cookies["sessionid"] = stolen
        assert thief.get("/account").status_code == 302
    assert UserSession.objects.get(session_key=cookie).exists()


def test_sessions_expire_by_themselves(client: Client, alice: Person) -> None:
    client.force_login(alice.user)
    (name,) = redis.sync().scan_iter("*session:*")
    assert 0 < redis.sync().ttl(name) <= 14 * 24 * 3600


def test_links_in_mails_are_sealed_on_their_way(client: Client, alice: Person) -> None:
    client.post("/account/password/reset/", {"email": "alice@example.com"})
    kept = everything_in_valkey()
    (queued,) = redis.sync().lrange("celery:celery", 0, -1)
    message = json.loads(queued)
    told = base64.b64decode(message["body"]) + queued
    assert b"password/reset" not in told and b"password/reset" not in kept
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    send_mail(*args, **kwargs)
    assert "/account/password/reset/key/" in str(mail.outbox[0].body)


def test_without_a_mail_server_no_link_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    letter = mail.EmailMessage(
        "Reset", "https://x/account/password/reset/key/1-abc/", to=["a@b.c"]
    )
    assert unsent.EmailBackend().send_messages([letter]) == 0
    assert "Reset" in caplog.text and "1-abc" not in caplog.text


def test_the_sandbox_alone_prints_its_mails() -> None:
    ask = "from hontoni import settings; print(settings.EMAIL_BACKEND)"
    told = [
        subprocess.run(
            [sys.executable, "-c", ask],
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "hontoni.settings", "SANDBOX": sandbox},
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for sandbox in ("true", "false")
    ]
    assert told == [
        "django.core.mail.backends.console.EmailBackend",
        "hontoni.unsent.EmailBackend",
    ]


# -- Files ---------------------------------------------------------------------------------------


def test_what_was_open_is_closed_at_the_start(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "var", tmp_path / "elsewhere"
    (folder / "valkey").mkdir(parents=True, mode=0o755)
    elsewhere.write_text("not ours")
    elsewhere.chmod(0o644)
    for name in ("hontoni.sqlite3", "valkey/appendonly.aof"):
        (folder / name).write_text("secret")
        (folder / name).chmod(0o644)
    (folder / "link").symlink_to(elsewhere)
    private.close(folder)
    modes = {path.name: oct(path.lstat().st_mode & 0o777) for path in folder.rglob("*")}
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert modes["valkey"] == "0o700"
    assert modes["hontoni.sqlite3"] == modes["appendonly.aof"] == "0o600"
    assert oct(elsewhere.stat().st_mode & 0o777) == "0o644"


def test_what_we_make_is_private_from_the_start(tmp_path: Path) -> None:
    file = tmp_path / "made"
    file.touch()
    assert oct(file.stat().st_mode & 0o777) == "0o600"
