"""Mails of teams: templates/accounts/mails/<kind>.txt, in English, and in <language>/ beside it.

kind                facts
team_invitation     team, by, role, link, until
team_transferred    team, old, new (owner)
team_domain         team, domain, link
"""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from accounts.sign_in.mail_adapter import Letter

SUBJECTS = {
    "team_invitation": _("You are invited to a team"),
    "team_transferred": _("A team has a new owner"),
    "team_domain": _("Is this domain a team's?"),
}


def send(kind: str, to: str, language: str, **facts: Any) -> None:
    """Once the transaction holds; by the worker, which tries again."""
    with translation.override(language if language in dict(settings.LANGUAGES) else "en"):
        spoken, subject = translation.get_language(), gettext(SUBJECTS[kind])
        context = {**facts, "public_url": settings.PUBLIC_URL, "required": True}
        text = render_to_string(
            [f"accounts/mails/{spoken}/{kind}.txt", f"accounts/mails/{kind}.txt"], context
        )
        around = {"subject": subject, "text": text, "language": spoken}
        letter = Letter(subject, text, None, [to])
        letter.attach_alternative(render_to_string("emails/_layout.html", around), "text/html")
    transaction.on_commit(letter.send)
