"""What fills the pages of an account that has been here for a while, and opens all of them."""

import uuid
from datetime import timedelta
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from accounts.keys import api_keys, personal_tokens, scopes
from accounts.keys.restrictions import Restrictions
from accounts.models import ApiKey, User
from billing.channels.models import Channel, Delivery
from billing.mails.models import Announcement, Told
from gateway.batches.models import Batch
from gateway.vendors.models import Provider
from gateway.vendors.own_keys import keeping
from gateway.vendors.own_keys.models import OwnKeyFee
from hontoni.money import nanos
from tests.world import Person

_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
NOWHERE = "http://127.0.0.1:9"  # nobody listens there


def furnish(person: Person) -> None:
    """A token, a key that may do more than others, a key of their own at a vendor (and another
    vendor that they could bring one for), an announcement of each kind, channels, and batches."""
    personal_tokens.mint(person.user, "report", scopes.OF_TOKENS)
    api_keys.mint(person.user, "keeper", None, Restrictions(scopes=scopes.OF_KEYS))
    now = timezone.now()
    for vendor in ("openai", "anthropic"):
        Provider.objects.create(name=vendor, vendor=vendor, base_url=NOWHERE, own_keys=True)
    OwnKeyFee.objects.create(per_million=nanos("0.10"), effective_at=now)
    keeping.add(person.user, "openai", "sk-alice-at-openai-0123456789")
    ends = now + timedelta(days=1)
    for kind in Announcement.Kind.values:
        words = {
            "title": "Maintenance",
            "title_vi": "Bảo trì",
            "body_vi": "Xem https://status.example.com/chu-nhat",
            "body": "See https://status.example.com/on-sunday",
            "by": "x",
        }
        times = {"starts_at": now, "ends_at": ends, "released_at": now, "begun_at": now}
        made = Announcement.objects.create(kind=kind, banner=True, **words, **times)
        Told.objects.create(announcement=made, user=person.user)
    _channels(person)
    _batches(person)


def _channels(person: Person) -> None:
    """A webhook that was switched off, and a chat that is linked; a key that is stopped."""
    now = timezone.now()
    mine = {"account": person.user, "person": person.user}
    hook = Channel.objects.create(
        **mine, kind="webhook", name="Deploy", url="https://example.com/hook",
        events=["balance.low", "cap.reached"], active=False, failing_since=now, disabled_at=now,
    )  # fmt: skip
    Channel.objects.create(**mine, kind="telegram", name="Telegram", chat="77")
    missed = {"at": now.isoformat(), "status": 503, "problem": ""}
    for status in Delivery.Status.values:
        Delivery.objects.create(channel=hook, status=status, attempts=1, tries=[missed])
    ApiKey.objects.filter(user=person.user, name="keeper").update(
        brake_spend=nanos("2.5"), brake_times=5, brake_loop=3, session_budget=nanos("20"),
        overflow_cap=nanos("12"),
        stopped_at=now, stopped_by=person.user,
    )  # fmt: skip


def _batches(person: Person) -> None:
    """One that runs (elsewhere), one that has ended, and one that was none."""
    now = timezone.now()
    error = {"code": "empty_file", "message": "The input file is empty.", "line": None}
    lives: dict[str, dict[str, Any]] = {
        "in_progress": {"runner": "elsewhere", "lease_until": now + timedelta(days=1)},
        "completed": {"ended_at": now, "errored": 100},
        "failed": {"ended_at": now, "errors": [error], "total": 0, "succeeded": 0},
    }
    for status, life in lives.items():
        row: dict[str, Any] = {
            "endpoint": "/v1/chat/completions",
            "model": "claude-sonnet-4.6",
            "total": 1_500,
            "succeeded": 1_400,
            "held": nanos("12.5"),
            "cost": nanos("3.251"),
        }
        Batch.objects.create(
            id=f"batch_{uuid.uuid4().hex}",
            user=person.user,
            api_key=person.key,
            status=status,
            expires_at=now + timedelta(days=1),
            keeps_seconds=2_592_000,
            **row | life,
        )


def sign_in(client: Client, user: User) -> None:
    """With the password a moment ago: pages that ask for it again open, too."""
    client.force_login(user, _BACKEND)
    request = HttpRequest()
    request.session = client.session
    record_authentication(request, user, method="password", reauthenticated=True)
    request.session.save()
