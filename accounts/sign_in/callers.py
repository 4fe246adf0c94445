"""From which IP address somebody speaks to us: hontoni/addresses.py has put the true one there."""

import ipaddress

from django.http import HttpRequest
from rest_framework.request import Request

from hontoni import addresses


def address(request: Request | HttpRequest) -> str | None:
    """The address as text; None where it is not known (a Unix socket)."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR") or ""))
    except ValueError:
        return None


def network(request: Request | HttpRequest) -> str:
    """Who counts as one with this caller."""
    return addresses.network(request.META.get("REMOTE_ADDR") or "")
