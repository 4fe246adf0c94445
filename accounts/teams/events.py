"""What the owner of a team reads of it: who did what, and when. Only ever added to."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import TeamEvent, User

# Deeds of the room itself; others are called by the name of their page or door.
WORDS: dict[str, Promise] = {
    "team_made": _("Made the team"),
    "renamed": _("Changed the team's name or address"),
    "invited": _("Invited"),
    "invitation_revoked": _("Took an invitation back"),
    "joined": _("Joined"),
    "joined_by_sign_on": _("Joined by signing in with the team's provider"),
    "provisioned": _("Was added by the directory"),
    "member_changed": _("Changed a member"),
    "member_stopped": _("Stopped all keys of a member"),
    "member_started": _("Started the keys of a member"),
    "member_removed": _("Removed a member"),
    "member_left": _("Left"),
    "deactivated": _("Was taken out by the directory"),
    "transferred": _("Handed the team over"),
    "key_made": _("Made an API key"),
    "key_changed": _("Changed an API key"),
    "key_rotated": _("Rotated an API key"),
    "key_revoked": _("Revoked an API key"),
    "token_made": _("Made an access token"),
    "token_revoked": _("Revoked an access token"),
    "key_switched": _("Stopped or started a key"),
    "keys_switched": _("Stopped or started all keys"),
    "windows_reset": _("Bought a reset pass: all limits were emptied"),
    "tool_called": _("A program called a tool"),
    "device_allowed": _("Let a program sign in"),
    "domain_added": _("Added a domain"),
    "domain_proven": _("Proved a domain"),
    "domain_removed": _("Removed a domain"),
    "sign_on_changed": _("Changed how members sign in"),
    "scim_token_made": _("Made a token for the directory"),
    "scim_token_ended": _("Ended the directory's token"),
    "group_changed": _("Changed a group's role"),
}
# Doors of money, by their names: what was done there, in words.
_MONEY: dict[str, Promise] = {
    **dict.fromkeys(
        (
            *("billing-topup", "billing-vietqr-order", "sandbox-funds"),
            *("topup", "topup-checkout", "topup-intent", "vietqr"),
        ),
        _("Ordered a top-up"),
    ),
    **dict.fromkeys(("billing-vietqr-cancel", "one-vietqr"), _("Cancelled a bank transfer")),
    **dict.fromkeys(
        (
            *("billing-change", "billing-cancel", "billing-resume", "billing-end-add-on"),
            *("subscription", "upgrade", "downgrade", "cancel", "resume", "addons", "addon"),
        ),
        _("Changed the plan or its add-on"),
    ),
    **dict.fromkeys(
        (
            *("billing-cards", "billing-remove-card", "billing-default-card", "billing-pay-by"),
            *("payment-method", "default-payment-method", "subscription-payment-method"),
            *("auto-topup", "billing-to-portal", "billing-portal"),
        ),
        _("Changed cards, or what is paid by them"),
    ),
    **dict.fromkeys(("billing-promo", "promo-code"), _("Redeemed a promo code")),
    **dict.fromkeys(
        ("billing-invoices", "billing-details"), _("Changed whom invoices are made out to")
    ),
    **dict.fromkeys(("billing-mails", "notifications"), _("Changed which mails come")),
    **dict.fromkeys(("billing-referrals", "referral"), _("Accepted a referral")),
}
_DOORS: dict[str, str] = {
    **dict.fromkeys(("billing-reset", "reset-pass"), "windows_reset"),
    **dict.fromkeys(("keys", "api-key-list"), "key_made"),
    **dict.fromkeys(("key", "key-limits"), "key_changed"),
    "key-rotate": "key_rotated",
    "api-key-rotate": "key_rotated",
    "key-revoke": "key_revoked",
    "key-switch": "key_switched",
    "keys-switch": "keys_switched",
    "tokens": "token_made",
    "api-token-list": "token_made",
    "token-revoke": "token_revoked",
    "api-token-detail": "token_revoked",
}


def record(
    account_id: int,
    actor: User | None,
    action: str,
    subject: str = "",
    *,
    ip: str | None = None,
    who: str = "",
    **facts: Any,
) -> None:
    """In the transaction of the deed. Without an actor it was `who`, or the team's own
    directory."""
    TeamEvent.objects.create(
        account_id=account_id,
        actor=actor,
        actor_email=actor.email if actor else who,
        action=action,
        subject=subject[:254],
        facts=facts,
        ip=ip,
    )


def of_door(name: str, method: str) -> str:
    """What a door is called in the list, by what it does."""
    if name == "api-key-detail":
        return "key_revoked" if method == "DELETE" else "key_changed"
    return _DOORS.get(name, name)


def words(event: TeamEvent) -> Promise | str:
    """What it was, for people; a page of another room by its name."""
    return (WORDS | _MONEY).get(event.action, event.action)
