"""From which IP address somebody speaks to us, behind as many proxies as settings say."""

import ipaddress

from django.http import HttpRequest
from rest_framework.request import Request

from ratelimits.throttle import AddressThrottle


def address(request: Request | HttpRequest) -> str | None:
    """The address as text; None where it is not known (a Unix socket)."""
    asked = request if isinstance(request, Request) else Request(request)
    try:
        return str(ipaddress.ip_address(AddressThrottle().get_ident(asked) or ""))
    except ValueError:
        return None


def network(request: Request | HttpRequest) -> str:
    """Who counts as one with this caller."""
    asked = request if isinstance(request, Request) else Request(request)
    return AddressThrottle().identify(asked) or ""
