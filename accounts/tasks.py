"""What the worker does for accounts."""

import json
from typing import Any

from celery import Task, shared_task
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from accounts import tokens
from hontoni.vault import Vault

_vault = Vault("accounts.mails")


@shared_task
def forget_expired_sessions() -> int:
    """Delete refresh tokens that are good for nothing any more; how many. Daily is enough."""
    return tokens.forget(timezone.now())


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
    """Send a mail of accounts/mails.py; every attempt carries the same Message-ID."""
    mail = EmailMultiAlternatives(subject, text, to=to, headers=headers)
    for part in html:
        mail.attach_alternative(part, "text/html")
    mail.send()
