"""The append-only log of what staff did. Written in the transaction of the deed itself."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db.models.signals import post_save
from django.dispatch import receiver

from billing.books.models import AuditEntry


def record(
    *,
    actor: str,
    action: str,
    subject: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    request_id: str = "",
) -> AuditEntry:
    """Keep who (an e-mail address or `shell:<uid>`) did what to whom (`user:12`, `plan:basic`)."""
    why = _reason.get()
    return AuditEntry.objects.create(
        actor=actor,
        action=action,
        subject=subject,
        before=dict(before),
        after={**after, "reason": why} if why else dict(after),
        request_id=request_id,
    )


_reason: ContextVar[str] = ContextVar("_reason", default="")


@contextmanager
def because(reason: str) -> Iterator[None]:
    """What is recorded meanwhile was done for that reason."""
    token = _reason.set(reason)
    try:
        yield
    finally:
        _reason.reset(token)


_told: ContextVar[tuple[Mapping[str, Any], Mapping[str, Any]] | None] = ContextVar(
    "_told", default=None
)


@contextmanager
def told(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[None]:
    """What the deed that Django logs meanwhile has changed (cockpit/site.py)."""
    token = _told.set((before, after))
    try:
        yield
    finally:
        _told.reset(token)


_VERBS = {ADDITION: "add", CHANGE: "change", DELETION: "delete"}


@receiver(post_save, sender=LogEntry, dispatch_uid="billing.audit")
def _keep(instance: LogEntry, **_: Any) -> None:
    """Whatever staff do on any page of the admin, unless the page audits it better itself.

    Django's own log of it can be changed; ours cannot.
    """
    model = instance.content_type and instance.content_type.model_class()
    page = admin.site._registry.get(model) if model else None
    if model is None or getattr(page, "audits_itself", False):
        return
    before, after = _told.get() or ({}, {})
    record(
        actor=instance.user.email,
        action=_VERBS.get(instance.action_flag, "other"),
        subject=f"{model._meta.model_name}:{instance.object_id}",
        before=before,
        after={
            **after,
            "what": _message(instance.change_message),
            "is": instance.object_repr,
        },
    )


def _message(text: str) -> Any:
    """Django's structured message, or the sentence of an action."""
    return json.loads(text) if text.startswith("[") else text
