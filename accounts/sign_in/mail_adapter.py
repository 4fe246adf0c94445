"""Mails of signing in and up: rendered here, where the request is, and sent by the worker.

A mail server that is slow or away keeps nobody out: the worker tries again. The rest of allauth's
adapter, for there is only one: who is counted with whom when passwords are tried.
"""

import json
from collections.abc import Callable
from email.utils import make_msgid
from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from celery import Task, shared_task
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.mail import EmailMultiAlternatives
from django.http import HttpRequest, HttpResponse
from kombu.exceptions import OperationalError

from accounts.models import User
from accounts.sign_in import devices
from hontoni.vault import Vault

_vault = Vault("accounts.mails")


class Sealed(Task):  # type: ignore[type-arg]  # not generic at run time
    """What it is given is sealed on its way: the broker keeps it on a disk, and logs show it."""

    def apply_async(
        self, args: Any = None, kwargs: dict[str, Any] | None = None, *more: Any, **options: Any
    ) -> Any:
        if kwargs and "sealed" not in kwargs:  # a retry is sealed already
            kwargs = {"sealed": _vault.seal(json.dumps(kwargs))}
        return super().apply_async(args, kwargs, *more, **options)

    def __call__(self, *args: Any, sealed: str = "", **kwargs: Any) -> Any:
        return super().__call__(*args, **(json.loads(_vault.unseal(sealed)) if sealed else kwargs))


# Seven more times, over about two hours. No pause is longer than the broker's visibility timeout:
# it would hand the mail out twice.
@shared_task(
    name="accounts.tasks.send_mail",
    base=Sealed,
    typing=False,
    autoretry_for=(Exception,),
    retry_backoff=60,
    retry_backoff_max=1800,
    max_retries=7,
)
def send_mail(
    *, subject: str, text: str, html: list[str], to: list[str], headers: dict[str, str]
) -> None:
    """Send such a mail; every attempt carries the same Message-ID."""
    mail = EmailMultiAlternatives(subject, text, to=to, headers=headers)
    for part in html:
        mail.attach_alternative(part, "text/html")
    mail.send()


class Letter(EmailMultiAlternatives):
    """Goes out once for every `send`, by the worker, however often that has to try."""

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Hand it to the worker; while the broker is down, send it here."""
        html = [str(content) for content, _ in self.alternatives]
        headers = {"Message-ID": make_msgid(), "Auto-Submitted": "auto-generated"}
        try:
            send_mail.delay(
                subject=str(self.subject),
                text=str(self.body),
                to=self.to,
                html=html,
                headers=headers,
            )
        except OperationalError:
            return super().send(*args, **kwargs)
        return 1


_gatekeepers: list[Callable[[HttpRequest, User], HttpResponse | None]] = []


def keep_gate(elsewhere: Callable[[HttpRequest, User], HttpResponse | None]) -> None:
    """Have this asked before anybody is signed in on the web: imports point down."""
    _gatekeepers.append(elsewhere)


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    def render_mail(self, *args: Any, **kwargs: Any) -> Letter:
        """As allauth does, to be sent as ours."""
        mail = super().render_mail(*args, **kwargs)
        letter = Letter(mail.subject, mail.body, mail.from_email, mail.to)
        for content, mimetype in getattr(mail, "alternatives", []):
            letter.attach_alternative(content, mimetype)
        return letter

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Strangers' guesses do not lock the owner out."""
        email = str(credentials.get("email") or "")
        return f"login:{devices.counted_as(request, email)}"

    def pre_login(self, request: HttpRequest, user: AbstractBaseUser, **how: Any) -> Any:
        """Somebody has shown who they are, and may still have to go another way in."""
        for elsewhere in _gatekeepers:
            if (answer := elsewhere(request, cast(User, user))) is not None:
                return answer
        return super().pre_login(request, user, **how)

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **how: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **how)
        email = cast(User, user).email
        devices.remember(request, email)
        devices.mark(request, response, email)
        return response
