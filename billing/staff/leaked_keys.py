"""A key, or a token, that leaked: its owner is mailed, and the audit log remembers."""

from accounts.leaks.ended import Report, Secret
from accounts.models import ApiKey
from billing.books import audit
from billing.mails import notices


def tell(key: Secret, report: Report) -> None:
    """As accounts/leaks/ended.py asks for it."""
    github = report.by == "github"
    kind = "apikey" if isinstance(key, ApiKey) else "token"
    prefix = "" if kind == "apikey" else "token:"
    facts = {
        "key_name": key.name,
        "shown": f"{key.prefix}…{key.last4}",
        "by_github": github,
        "where": report.url if github else "",  # what anybody may write does not go into our mails
    }
    notices.tell(
        user_id=key.user_id, kind="key_leaked", key=f"leaked:{prefix}{key.pk}", facts=facts
    )
    audit.record(
        actor=f"leak:{report.by}"[:200],
        action="revoke leaked key",
        subject=f"{kind}:{key.pk}",
        before={"status": "active"},
        after={"status": "revoked", "where": report.where, "url": report.url},
    )
