"""How often an account may try cards: somebody who tests stolen ones needs thousands of tries."""

from rest_framework.request import Request

from ratelimits.throttle import Throttle


class OrdersByAccount(Throttle):
    scope, limit, seconds = "topup-account", 30, 3600

    def identify(self, request: Request) -> str | None:
        return str(request.user.pk)
