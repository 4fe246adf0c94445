"""How often codes may be guessed."""

from rest_framework.request import Request

from ratelimits.throttle import AddressThrottle, Throttle


class GuessesByAccount(Throttle):
    """Guessing codes: twenty in any hour."""

    scope, limit, seconds = "codes-account", 20, 3600

    def identify(self, request: Request) -> str | None:
        return str(request.user.pk)


class GuessesByAddress(AddressThrottle):
    """The same with many accounts."""

    scope, limit, seconds = "codes-address", 100, 3600
