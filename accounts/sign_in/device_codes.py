"""Signing a program in by a code (RFC 8628): it shows a short code, its person types that on a
page of ours where they are signed in, and the program gets a personal access token.

    pending    the program has a device code (secret) and a user code (to be typed)
    decided    somebody signed in allowed it, or not; whoever is first decides, once
    redeemed   the device code is exchanged for a token, once; then there is nothing any more

* Ten minutes after it was asked for all of it is gone. The device code is kept as a digest; the
  token is made when it is redeemed, and kept nowhere in clear.
* No link carries the code: who is sent one could be had to allow somebody else's program.
* What buys is never given this way: that takes the page of tokens.
* Who polls faster than told waits longer each time. All of it is in Redis, for all nodes.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache

from accounts.keys import personal_tokens, scopes
from accounts.models import User
from hontoni import errors

LIFETIME_SECONDS, INTERVAL_SECONDS = 600, 5
CLIENT = "hontoni-cli"
OFFERED = (scopes.USAGE, scopes.KEYS, scopes.BILLING)
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 section 6.1: no vowels, no words
_LENGTH = 8


class Refused(Exception):
    """An error as OAuth has it: its code, and words. Waiting is one, too."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


@dataclass(frozen=True, slots=True)
class Pending:
    """What a program has asked for: `name` is what it calls itself, `address` from where."""

    digest: str
    name: str
    scopes: tuple[str, ...]
    address: str


@dataclass(frozen=True, slots=True)
class Codes:
    """What the program is told."""

    device: str
    user: str


@dataclass(frozen=True, slots=True)
class Given:
    """Who allowed it, for which account, from what is asked for what their role may; and in what
    session: it ends with all others of theirs."""

    person: int
    account: int
    scopes: tuple[str, ...]
    credentials: str


def ask(name: str, wanted: Iterable[str], address: str | None) -> Codes:
    """Codes for a program. Raises Refused for a scope that is not given this way."""
    chosen = tuple(scopes.in_order(wanted)) or OFFERED
    if not set(chosen) <= set(OFFERED):
        raise Refused("invalid_scope", f"A program gets {', '.join(OFFERED)} this way.")
    device = secrets.token_urlsafe(32)
    pending = Pending(_digest(device), _plain(name), chosen, address or "")
    user = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    cache.set(f"device:{pending.digest}", pending, LIFETIME_SECONDS)
    cache.set(f"device-code:{user}", pending.digest, LIFETIME_SECONDS)
    return Codes(device, f"{user[:4]}-{user[4:]}")


def find(user_code: str) -> Pending | None:
    """What waits for that code to be typed, in whatever case and with whatever between."""
    typed = "".join(each for each in user_code.upper() if each in _LETTERS)
    digest = cache.get(f"device-code:{typed}") if len(typed) == _LENGTH else None
    found: Pending | None = digest and cache.get(f"device:{digest}")
    undecided = found is not None and cache.get(f"device-decision:{found.digest}") is None
    return found if undecided else None


def decide(pending: Pending, given: Given | None) -> bool:
    """Allow it, or (None) not. Whether this decided it: somebody may have been first."""
    return bool(
        cache.add(f"device-decision:{pending.digest}", given or "denied", LIFETIME_SECONDS)
    )


def redeem(device_code: str) -> Given:
    """Who allowed it, once: the next time there is nothing. Raises Refused."""
    digest = _digest(device_code)
    pending = cache.get(f"device:{digest}")
    if pending is None:
        raise Refused("expired_token", "This code is expired, used, or none of ours.")
    _wait(digest)
    decision = cache.get(f"device-decision:{digest}")
    if decision is None:
        raise Refused("authorization_pending", "Nobody has typed the code yet.")
    if not cache.delete(f"device:{digest}"):
        raise Refused("expired_token", "This code is used.")
    if not isinstance(decision, Given):
        raise Refused("access_denied", "It was not allowed.")
    return decision


def token(given: Given, account: User, person: User, name: str, address: str | None) -> str:
    """The token in clear, for what was allowed. Raises Refused."""
    try:
        return personal_tokens.mint(account, name, given.scopes, made_from=address, person=person)[
            1
        ]
    except errors.ApiError as error:
        raise Refused("access_denied", error.message) from None


def named(device_code: str) -> str:
    """What the program of a code calls itself; empty for a code that is over."""
    pending: Pending | None = cache.get(f"device:{_digest(device_code)}")
    return pending.name if pending else ""


def _wait(digest: str) -> None:
    """Raises Refused for who asks again too soon, and adds to how long that is."""
    slower = f"device-slower:{digest}"
    interval: int = cache.get(slower) or INTERVAL_SECONDS
    if not cache.add(f"device-poll:{digest}", 1, interval):
        cache.set(slower, interval + INTERVAL_SECONDS, LIFETIME_SECONDS)
        raise Refused("slow_down", f"Ask every {interval + INTERVAL_SECONDS} seconds.")


def _digest(device_code: str) -> str:
    return hashlib.sha256(device_code.encode()).hexdigest()


def _plain(name: Any) -> str:
    """One line of what can be printed: it is shown to a person who decides by it."""
    kept = "".join(each for each in str(name) if each.isprintable())
    return " ".join(kept.split())[:60] or CLIENT
