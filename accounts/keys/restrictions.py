"""What an owner forbids a key: spend caps, other models, other addresses. In its expiry, too, but
that is older and lives with the key itself.

A key and what it is rotated to share their restrictions and one purse, so that rotating neither
lifts a cap nor spends it twice. Which models there are is the gateway's business: it says so when
it starts (`sells`), because imports point down.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from accounts.keys import scopes
from accounts.models import ApiKey, Membership
from hontoni import errors
from hontoni.money import DOLLAR

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LARGEST_CAP = 1_000_000 * DOLLAR
MOST_NETWORKS = 50
GUARD = ("brake_spend", "brake_times", "brake_loop", "session_budget")
FIELDS = (
    *("daily_cap", "monthly_cap", "lifetime_cap", "allowed_models", "allowed_ips", "scopes"),
    *GUARD,
    "overflow_cap",
)
MOST_TIMES, MOST_SAME = 100, 1_000  # of a brake: times its history; the same prompt


class Restrictions(NamedTuple):
    """Caps in nano-dollars a UTC day, a month and in all; None, and nothing listed, allow
    everything. The guard: nano-dollars in ten minutes, so many times what it spent before, one
    prompt so often in ten minutes, nano-dollars a session. Overflow:
    nano-dollars a UTC month past the plan's windows; None: it stops at them."""

    daily_cap: int | None = None
    monthly_cap: int | None = None
    lifetime_cap: int | None = None
    allowed_models: Sequence[str] = ()
    allowed_ips: Sequence[str] = ()
    scopes: Sequence[str] = scopes.BY_DEFAULT
    brake_spend: int | None = None
    brake_times: int | None = None
    brake_loop: int | None = None
    session_budget: int | None = None
    overflow_cap: int | None = None

    def stored(self) -> dict[str, Any]:
        """The columns of an ApiKey."""
        return {
            **self._asdict(),
            "allowed_models": list(self.allowed_models),
            "allowed_ips": list(self.allowed_ips),
            "scopes": scopes.in_order(self.scopes),
        }


def check(given: Restrictions) -> None:
    """Raises BadRequest for what contradicts itself: a key that makes keys could make itself one
    without its caps."""
    capped = given.daily_cap or given.monthly_cap or given.lifetime_cap
    if scopes.KEYS in given.scopes and (capped or given.allowed_models):
        raise errors.BadRequest(
            f"A key with the scope {scopes.KEYS} makes others without its caps and models: give "
            "it either that scope or those limits.",
            code="scopes_conflict",
            param="scopes",
        )


def caps(key: "ApiKey | Membership") -> tuple[int, int, int]:
    """What a key, or a member, may spend in a UTC day, in a month and in all, in nano-dollars.
    0 = no cap."""
    return key.daily_cap or 0, key.monthly_cap or 0, key.lifetime_cap or 0


NO_MODEL = "(none)"
_NOBODY = ipaddress.ip_network("255.255.255.255/32")  # a broadcast: no client has it


def models_of(key: ApiKey) -> tuple[str, ...]:
    """Those it may ask, and its member too; empty: every one, NO_MODEL: none."""
    mine, theirs = key.allowed_models, key.member.allowed_models if key.member else []
    if not (mine and theirs):
        return tuple(mine or theirs)
    return tuple(name for name in mine if name in theirs) or (NO_MODEL,)


def networks_of(key: ApiKey) -> tuple[Network, ...]:
    """From where it may ask, and its member too; empty: everywhere."""
    mine = [ipaddress.ip_network(each) for each in key.allowed_ips]
    member = key.member.allowed_ips if key.member else []
    theirs = [ipaddress.ip_network(each) for each in member]
    if not (mine and theirs):
        return tuple(mine or theirs)
    # Of two networks one contains the other, or they have nothing in common.
    both = [
        max(one, other, key=lambda network: network.prefixlen)
        for one in mine
        for other in theirs
        if one.version == other.version and one.overlaps(other)
    ]
    return tuple(both) or (_NOBODY,)


_names: Callable[[], Mapping[str, str]] = dict


def sells(names: Callable[[], Mapping[str, str]]) -> None:
    """Tell who to ask for the names of all models, and what forms show in their place."""
    global _names
    _names = names


def models() -> list[str]:
    """The names of all models on offer."""
    return list(_names())


def choices() -> list[tuple[str, str]]:
    """The same with what forms show."""
    return list(_names().items())


def normalised(networks: Iterable[str]) -> list[str]:
    """Addresses and CIDR ranges, v4 or v6, each once. Raises ValueError in words for the customer.

    An address is a range of one; the bits behind a range's prefix are dropped.
    """
    found: dict[str, None] = {}
    for text in networks:
        try:
            network: Network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            raise ValueError(
                f"{text.strip()[:50]} is neither an IP address nor a range such as 203.0.113.0/24."
            ) from None
        found[str(_unmapped(network))] = None
    if len(found) > MOST_NETWORKS:
        raise ValueError(f"At most {MOST_NETWORKS} addresses or ranges.")
    return list(found)


def _unmapped(network: Network) -> Network:
    """A v4 address written as v6 (::ffff:203.0.113.5) is that v4 address: as it is compared."""
    if network.version == 4 or network.prefixlen < 96:
        return network
    mapped = network.network_address.ipv4_mapped
    return network if mapped is None else ipaddress.ip_network((mapped, network.prefixlen - 96))


def contains(networks: Iterable[Network], address: str) -> bool:
    """Whether an address is in one of the networks. Garbage is in none."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in networks)
