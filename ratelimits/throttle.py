"""Throttles for what people do by hand (signing in, signing up): exact, and shared by all nodes.

At most `limit` attempts in any `seconds`; a refused attempt is not counted. Redis failing is a
503: a login that cannot be counted could be guessed forever.

    class LoginsByEmail(throttle.EmailThrottle):
        scope, limit, seconds = "login-email", 10, 900
"""

import hashlib
import math
import uuid
from collections.abc import Mapping

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from hontoni import addresses, errors
from ratelimits import scripts


class Throttle(BaseThrottle):
    """A DRF throttle. Subclasses say how often, and who counts as the same."""

    scope: str
    limit: int
    seconds: int
    waiting_ms = 0

    def identify(self, request: Request) -> str | None:
        """Whose attempts are counted together. None: this one is not counted."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: APIView | None = None) -> bool:
        who = self.identify(request)
        if who is None:
            return True
        # Hashed, so that Redis holds neither addresses nor e-mails in clear.
        key = f"throttle:{self.scope}:{hashlib.sha256(who.encode()).hexdigest()}"
        args = (self.limit, self.seconds * 1000, uuid.uuid4().hex)
        self.waiting_ms = scripts.run_sync(scripts.HIT, (key,), args)
        return self.waiting_ms == 0

    def wait(self) -> float:
        """Seconds until the next attempt is allowed, after a refusal."""
        return self.waiting_ms / 1000


class AddressThrottle(Throttle):
    """By IP address; an IPv6 network of /64 counts as one, since one customer has all of it."""

    def identify(self, request: Request) -> str | None:
        return addresses.network(self.get_ident(request) or "")


class EmailThrottle(Throttle):
    """By the `email` in the body, known or not, so that it does not tell which accounts exist."""

    def identify(self, request: Request) -> str | None:
        data = request.data
        email = data.get("email") if isinstance(data, Mapping) else None
        return email.strip().lower() if isinstance(email, str) else None


def count(request: HttpRequest, *kinds: type[Throttle]) -> None:
    """An attempt made on a page, by who is signed in there. Raises RateLimited."""
    wrapped = Request(request)
    wrapped.user = request.user
    for kind in kinds:
        throttle = kind()
        if not throttle.allow_request(wrapped):
            seconds = str(math.ceil(throttle.wait()))
            raise errors.RateLimited(
                f"Too many attempts. Try again in {seconds} seconds.",
                headers={"Retry-After": seconds},
            )
