"""Where a request comes from: the one place that believes a forwarding header, and how far.

`X-Forwarded-For` and `X-Forwarded-Proto` are written by whoever likes to. As many entries are
believed as TRUSTED_PROXIES says that proxies of ours stand in front, counted from the right.
"""

import ipaddress
from collections.abc import Iterable

from django.conf import settings
from starlette.types import Scope

_FORWARDING = (b"forwarded", b"x-real-ip")


def client(scope: Scope, proxies: int) -> str:
    """The address of the client, past that many proxies of ours; "" where there is none."""
    peer = scope.get("client")
    forwarded = _address(_entry(scope, b"x-forwarded-for", proxies)) if proxies else ""
    return forwarded or (str(peer[0]) if peer else "")


def believed(scope: Scope) -> Scope:
    """The scope as Django is to see it: client and scheme are true, and nothing else tells."""
    proxies: int = settings.TRUSTED_PROXIES
    headers = [(n, v) for n, v in scope["headers"] if not _forwards(n)]
    known = {**scope, "headers": headers}
    if proxies:
        known["client"] = (client(scope, proxies), 0)
        if _entry(scope, b"x-forwarded-proto", proxies) == "https":
            known["scheme"] = "wss" if scope["type"] == "websocket" else "https"
    return known


def network(text: str) -> str:
    """Who counts as one behind an IP address: itself, or its IPv6 network of /64."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text or "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address.packed[:8] + bytes(8), 64)))


def _forwards(name: bytes) -> bool:
    return name.startswith(b"x-forwarded-") or name in _FORWARDING


def _entry(scope: Scope, name: bytes, proxies: int) -> str:
    """What the outermost of our proxies wrote, in however many lines it is."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    lines = b",".join(value for key, value in headers if key == name).decode("latin-1")
    hops = [hop.strip() for hop in lines.split(",")]
    return hops[-min(proxies, len(hops))]


def _address(text: str) -> str:
    """An IP address as proxies write it: perhaps in brackets, perhaps with a port. "" for none."""
    bare = text.rpartition(":")[0] if text.count(":") == 1 or "]:" in text else text
    try:
        return str(ipaddress.ip_address(bare.strip("[]")))
    except ValueError:
        return ""
