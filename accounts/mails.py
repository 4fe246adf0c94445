"""Mails of signing in and up: rendered here, where the request is, and sent by the worker.

A mail server that is slow or away keeps nobody out: the worker tries again. The rest of allauth's
adapter, for there is only one: who is counted with whom when passwords are tried.
"""

from email.utils import make_msgid
from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.mail import EmailMultiAlternatives
from django.http import HttpRequest, HttpResponse
from kombu.exceptions import OperationalError

from accounts import devices, tasks
from accounts.models import User


class Letter(EmailMultiAlternatives):
    """Goes out once for every `send`, by the worker, however often that has to try."""

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Hand it to the worker; while the broker is down, send it here."""
        html = [str(content) for content, _ in self.alternatives]
        headers = {"Message-ID": make_msgid(), "Auto-Submitted": "auto-generated"}
        try:
            tasks.send_mail.delay(
                subject=str(self.subject),
                text=str(self.body),
                to=self.to,
                html=html,
                headers=headers,
            )
        except OperationalError:
            return super().send(*args, **kwargs)
        return 1


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

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **how: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **how)
        email = cast(User, user).email
        devices.remember(request, email)
        devices.mark(request, response, email)
        return response
