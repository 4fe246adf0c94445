"""What each role may do: one table, for pages, /api, tokens and keys alike.

    role        may
    owner       everything; alone: transfer the team, delete it
    admin       everything else; members below admin, keys of all, money
    developer   read usage; make keys of their own
    billing     read usage; read and move money
    viewer      read usage, keys and money

A door on /api is opened by the scope it names (keys/scopes.py), a page by its name here. What
neither names is for owners and admins only, so a door that nobody thought of stays shut.
"""

from accounts.keys import scopes
from accounts.team_models import Role

ANYBODY = "any"
KEYS_READ = "keys:read"
MEMBERS = "members:manage"
ACCOUNT = "account:manage"
OWNING = "account:own"

_ADMIN = frozenset(
    {
        *(ANYBODY, KEYS_READ, MEMBERS, ACCOUNT),
        *(scopes.INFERENCE, scopes.USAGE, scopes.KEYS, scopes.BILLING, scopes.BUYING),
        scopes.WEBHOOKS,
    }
)
MAY: dict[str, frozenset[str]] = {
    Role.OWNER: _ADMIN | {OWNING},
    Role.ADMIN: _ADMIN,
    Role.DEVELOPER: frozenset(
        {ANYBODY, KEYS_READ, scopes.INFERENCE, scopes.USAGE, scopes.KEYS},
    ),
    Role.BILLING: frozenset({ANYBODY, scopes.USAGE, scopes.BILLING, scopes.BUYING}),
    Role.VIEWER: frozenset({ANYBODY, KEYS_READ, scopes.USAGE, scopes.BILLING}),
}
GIVEN_BY: dict[str, frozenset[str]] = {
    Role.OWNER: frozenset({Role.ADMIN, Role.DEVELOPER, Role.BILLING, Role.VIEWER}),
    Role.ADMIN: frozenset({Role.DEVELOPER, Role.BILLING, Role.VIEWER}),
}

# Pages on which people are themselves, whatever account they act for.
PERSONAL = frozenset(
    {
        *("account", "account-delete", "account-agree", "preferences"),
        *("teams", "team-new", "team-switch", "team-join"),
        *("sign-on-find", "sign-on", "sign-on-callback", "domain-proof"),
    }
)
_ALLAUTH = ("account_", "mfa_", "usersessions_", "socialaccount_", "github_", "google_")

_PUBLIC = (
    *("home", "models", "model", "pricing", "status", "docs", "docs-search", "docs-page"),
    *("docs-markdown", "llms-txt", "v1-schema", "error-code", "verify", "verify-program"),
    *("proof", "proof-roots", "receipt-keys", "shared-receipt", "leaked-key", "invited"),
    *("legal-terms", "legal-privacy", "legal-refunds", "legal-contact", "invoice-file"),
    *("unsubscribe", "security-txt", "schema", "api-docs", "dismiss-announcement"),
    *("oauth-device", "oauth-token", "oauth-revoke", "oauth-metadata"),
)
_USAGE = (
    *("overview", "usage-log", "usage-export", "usage-export-parquet", "usage-hours"),
    *("usage-hours-parquet", "usage-view-save", "usage-view-remove", "usage-refusals"),
    *("usage-receipt", "usage-receipt-file"),
)
_MONEY = (
    *("billing", "sandbox-funds", "billing-topup", "topup-done", "plan-done", "billing-cards"),
    *("billing-remove-card", "billing-default-card", "billing-to-portal", "billing-plans"),
    *("billing-change", "billing-cancel", "billing-resume", "billing-pay-by"),
    *("billing-end-add-on", "billing-invoices", "billing-invoice-pdf", "billing-invoice"),
    *("billing-statements", "billing-statement-file", "billing-statement", "billing-promo"),
    *("billing-referrals", "billing-mails", "billing-vietqr-order", "billing-vietqr"),
    *("billing-vietqr-state", "billing-vietqr-cancel", "billing-e-invoice", "billing-reset"),
)
# What it takes to read a page, and to send it something.
PAGES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(_PUBLIC, (ANYBODY, ANYBODY)),
    **dict.fromkeys(_USAGE, (scopes.USAGE, scopes.USAGE)),
    **dict.fromkeys(_MONEY, (scopes.BILLING, scopes.BUYING)),
    **dict.fromkeys(("keys", "key"), (KEYS_READ, scopes.KEYS)),
    **dict.fromkeys(
        ("key-limits", "key-rotate", "key-revoke", "key-switch", "keys-switch"),
        (scopes.KEYS, scopes.KEYS),
    ),
    "batches": (scopes.USAGE, scopes.KEYS),
    # Of one's own channels everybody is master; webhooks are a matter of the views (keeping.of).
    **dict.fromkeys(
        (
            *("channels", "channel", "channel-test", "channel-remove", "channel-secret"),
            "channel-replay",
        ),
        (ANYBODY, ANYBODY),
    ),
    **dict.fromkeys(
        ("usage-receipt-share", "playground", "batch-results", "batch-cancel"),
        (scopes.KEYS, scopes.KEYS),
    ),
    **dict.fromkeys(("tokens", "token-revoke", "team-leave", "device"), (ANYBODY, ANYBODY)),
    "team": (ANYBODY, MEMBERS),
    **dict.fromkeys(
        ("team-invite", "team-take-back", "team-member", "team-remove", "team-member-switch"),
        (MEMBERS, MEMBERS),
    ),
    "team-usage": (scopes.USAGE, scopes.USAGE),
    "team-usage-csv": (scopes.USAGE, scopes.USAGE),
    **dict.fromkeys(
        (
            *("team-transfer", "team-delete", "team-audit"),
            *("team-sign-on", "team-domain", "team-scim", "team-group"),
        ),
        (OWNING, OWNING),
    ),
}
# Pages that there are in a team only.
OF_TEAMS = frozenset(name for name in PAGES if name.startswith("team")) | {"team-settings"}
# Doors on /api that take a session and no scope, as far as they are not for admins only.
SESSIONS: dict[str, str] = {
    **dict.fromkeys(("api-token-list", "api-token-detail", "api-models"), ANYBODY),
    "me": ANYBODY,
    **dict.fromkeys(("own-channels", "own-channel", "own-channel-test"), ANYBODY),
    **dict.fromkeys(("own-channel-link", "own-channel-deliveries"), ANYBODY),
    "own-channel-replay": ANYBODY,
    **dict.fromkeys(("payment-methods", "payment-method", "billing-portal"), scopes.BUYING),
    **dict.fromkeys(("default-payment-method", "subscription-payment-method"), scopes.BUYING),
    **dict.fromkeys(("auto-topup", "billing-details", "notifications"), scopes.BUYING),
}


def is_personal(name: str) -> bool:
    """Whether a page is about the person, whoever they act for."""
    return name in PERSONAL or name.startswith(_ALLAUTH)


def of_page(name: str, *, reads: bool) -> str:
    """What it takes to open a page by its name, to read it or to send it something."""
    read, write = PAGES.get(name, (ACCOUNT, ACCOUNT))
    return read if reads else write


def of_door(name: str, scope: str) -> str:
    """What it takes at a door of /api by its name and the scope it asks of programs."""
    if name.startswith("api-team"):
        return ANYBODY  # the path names the account: the door looks what one is there
    return scope or SESSIONS.get(name, ACCOUNT)


def may(role: str, permission: str) -> bool:
    return permission in MAY[role]
