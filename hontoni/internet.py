"""Which IP addresses are the public internet's: no others are connected to for a customer."""

import ipaddress

# IPv6 networks in which an IPv4 address is written, and after how many bytes: on the way something
# makes of them what is written there. RFC 6052 (NAT64), 3056 (6to4), 4291 (mapped), 4380 (Teredo,
# whose client is written upside down). What else has one is no address of the internet's at all.
_EMBEDDING = (
    (ipaddress.IPv6Network("64:ff9b::/96"), 12),
    (ipaddress.IPv6Network("::ffff:0:0/96"), 12),
    (ipaddress.IPv6Network("2002::/16"), 2),
)
_ISATAP = (
    b"\x00\x00\x5e\xfe",
    b"\x02\x00\x5e\xfe",
)  # RFC 5214: before the address, whatever prefix
_TEREDO = ipaddress.IPv6Network("2001::/32")
_PROTOCOLS = ipaddress.IPv4Network("192.0.0.0/24")  # RFC 6890, of which Python knows a half
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that is ever given out, says IANA


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet's, also where it is written as IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast and ip not in _PROTOCOLS
    inner = _embedded(ip)
    if inner and not all(map(is_public, inner)):
        return False
    translated = any(ip in network for network, _ in _EMBEDDING)
    return translated or (ip in _UNICAST and ip.is_global)


def _embedded(ip: ipaddress.IPv6Address) -> list[str]:
    """The IPv4 addresses that are written in it."""
    packed = ip.packed
    found = [packed[at : at + 4] for network, at in _EMBEDDING if ip in network]
    if packed[8:12] in _ISATAP:
        found.append(packed[12:])
    if ip in _TEREDO:
        found += [packed[4:8], bytes(255 - byte for byte in packed[12:])]
    return [str(ipaddress.IPv4Address(each)) for each in found]
