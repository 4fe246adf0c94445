"""Which mailbox an address means, and whether its owner has shown that it is theirs.

Nothing is sent to what `mailbox` answers: it is only compared. Where in doubt two
addresses are two mailboxes: a wrong "the same" takes from one customer what another one got.
"""

import unicodedata

from allauth.account.models import EmailAddress
from django.db.models import Q

from accounts.models import Membership, Role, User

# Names of one provider for one and the same mailbox.
_ALIASES = {
    "googlemail.com": "gmail.com",
    "protonmail.com": "proton.me",
    "protonmail.ch": "proton.me",
    "pm.me": "proton.me",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
    "ya.ru": "yandex.ru",
    "yandex.com": "yandex.ru",
    "yandex.by": "yandex.ru",
    "yandex.kz": "yandex.ru",
}
# What means nothing in a name there.
_IGNORED = {"gmail.com": ".", "proton.me": ".-_"}
# How a tag begins there, if not with a plus sign.
_TAGS = {"yahoo.com": "-", "ymail.com": "-", "rocketmail.com": "-"}


def mailbox(email: str) -> str:
    """One name for all spellings of a mailbox: case, width, tags and what providers ignore."""
    text = unicodedata.normalize("NFKC", email).strip().casefold()
    name, _, domain = text.rpartition("@")
    domain = _ascii(domain.rstrip("."))
    domain = _ALIASES.get(domain, domain)
    name = name.strip('"')
    name = name.partition("+")[0] or name
    if tag := _TAGS.get(domain):
        name = name.partition(tag)[0] or name
    if domain == "yandex.ru":
        name = name.replace("-", ".")
    for letter in _IGNORED.get(domain, ""):
        name = name.replace(letter, "") or name
    return f"{name}@{domain}"


def _ascii(domain: str) -> str:
    """An international domain as the DNS has it: it is typed in either spelling."""
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain


def confirmed(user_id: int) -> list[str]:
    """The addresses of an account that are confirmed, a team's by its owner; none: nobody knows
    whose they are."""
    mine = Q(user_id=user_id) | Q(
        user__teams__account_id=user_id,
        user__teams__role=Role.OWNER,
        user__teams__ended_at=None,
    )
    found = EmailAddress.objects.filter(mine, verified=True)
    return list(found.values_list("email", flat=True).distinct())


def address(user: User) -> str:
    """Whose account it is, by their address: a team's is its owner's."""
    return owner(user).email


def owner(user: User) -> User:
    """Who an account belongs to: itself, or the owner of a team."""
    if not user.is_team:
        return user
    found = Membership.objects.filter(account=user, role=Role.OWNER, ended_at=None)
    first = found.select_related("person").first()
    return user if first is None else first.person


def recipients(user: User) -> list[str]:
    """Who gets the mails of an account: of a team its own address for that, or the owner and who
    minds its money."""
    if not user.is_team:
        return [user.email]
    if user.billing_email:
        return [user.billing_email]
    minding = Membership.objects.active().filter(account=user, role__in=(Role.OWNER, Role.BILLING))
    return list(minding.order_by("pk").values_list("person__email", flat=True)) or [user.email]
