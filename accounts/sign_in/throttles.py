"""How often one may knock at the doors that need no token. Exact, and shared by all nodes.

An account is its e-mail address, known or not: a throttle must not tell which addresses exist.
"""

from rest_framework.request import Request

from accounts.sign_in import devices
from ratelimits.throttle import AddressThrottle, EmailThrottle


class AttemptsByEmail(EmailThrottle):
    """Guessing a password: ten attempts in any five minutes, from wherever. Who signed in from
    there before is counted apart: devices.py."""

    scope, limit, seconds = "auth-email", 10, 300

    def identify(self, request: Request) -> str | None:
        email = super().identify(request)
        return email and devices.counted_as(request, email)


class AttemptsByAddress(AddressThrottle):
    """Trying one password on many accounts. An office behind one address must fit in."""

    scope, limit, seconds = "auth-address", 100, 300


class RegistrationsByAddress(AddressThrottle):
    """Accounts by the dozen."""

    scope, limit, seconds = "register-address", 100, 3600


class RefreshesByAddress(AddressThrottle):
    """Nobody guesses 256 bits; this only bounds the load."""

    scope, limit, seconds = "refresh-address", 300, 300
