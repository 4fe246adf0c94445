"""A key, or a token, that leaked: its owner is mailed, and the audit log remembers."""

from typing import NamedTuple

from accounts.leaks.ended import DIRECTORYS, Report, Secret
from accounts.models import ApiKey, SignOn
from billing.books import audit
from billing.mails import notices


def tell(key: Secret, report: Report) -> None:
    """As accounts/leaks/ended.py asks for it."""
    github = report.by == "github"
    said = _said(key)
    facts = {
        "key_name": said.name,
        "shown": said.shown,
        "by_github": github,
        "where": report.url if github else "",  # what anybody may write does not go into our mails
    }
    notices.tell(user_id=said.account, kind="key_leaked", key=f"leaked:{said.key}", facts=facts)
    audit.record(
        actor=f"leak:{report.by}"[:200],
        action="revoke leaked key",
        subject=said.subject,
        before={"status": "active"},
        after={"status": "revoked", "where": report.where, "url": report.url},
    )


class _Said(NamedTuple):
    account: int
    name: str
    shown: str
    key: str
    subject: str


def _said(key: Secret) -> _Said:
    if isinstance(key, SignOn):  # one after another: told once each
        made = int(key.scim_made_at.timestamp()) if key.scim_made_at else 0
        subject = f"directory:{key.pk}"
        return _Said(key.account_id, "SCIM token", f"{DIRECTORYS}…", f"{subject}:{made}", subject)
    shown = f"{key.prefix}…{key.last4}"
    if isinstance(key, ApiKey):
        return _Said(key.user_id, key.name, shown, str(key.pk), f"apikey:{key.pk}")
    return _Said(key.user_id, key.name, shown, f"token:{key.pk}", f"token:{key.pk}")
