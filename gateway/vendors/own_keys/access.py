"""Own keys on the hot path: what a caller's snapshot holds of them.

What was made of a key is kept while it stays the same, and with it its breakers: they are this
key's alone, so one customer's bad key closes nobody else's way to a vendor. A key is found by its
own id, which belongs to one account: nothing here is shared between two.
"""

import logging
import threading
from collections import OrderedDict
from typing import NamedTuple

from gateway.vendors import vault
from gateway.vendors.access import Access, introduce
from gateway.vendors.own_keys import parts
from gateway.vendors.own_keys.models import OwnKey

logger = logging.getLogger(__name__)

LABEL = "own key"  # before the provider's name on receipts; no provider of ours can be called so
_MOST = 20_000
_made: "OrderedDict[tuple[int | str, ...], Access]" = OrderedDict()
_making = threading.Lock()
_sandbox = {"at": ""}


def play(root: str) -> None:
    """From now on the vendors are played there: own keys are sent nowhere else."""
    _sandbox["at"] = root


class Key(NamedTuple):
    """An account's own key. `access` is None where it cannot be used: it is sealed under a key
    that is gone, or its provider has moved since."""

    id: int
    provider: int
    name: str  # the provider's
    prefix: str
    falls_back: bool
    access: Access | None


def is_own(label: str) -> bool:
    """Whether a receipt's credential is a customer's own."""
    return label.startswith(f"{LABEL}/")


def of_account(user_id: int) -> tuple[Key, ...]:
    """The keys that this account has switched on."""
    rows = OwnKey.objects.filter(user=user_id, active=True).select_related("provider")
    return tuple(_key(row) for row in rows.order_by("pk"))


def address(row: OwnKey) -> str:
    """Where it is sent: to its provider, or where the vendors are played."""
    return _sandbox["at"] or row.provider.base_url


def introduced(row: OwnKey) -> Access:
    """How a request with it begins. Raises ValueError, vault.Unreadable among them."""
    provider, label = row.provider, f"{LABEL}/{row.provider.name}"
    shown = parts.read(provider, vault.unseal(row.sealed), address(row))
    made = introduce(
        label,
        provider.vendor,
        shown.address,
        shown.secret,
        auth=provider.auth,
        hosting=provider.hosting,
        dialect=provider.dialect,
        region=provider.region,
    )
    made.own_key = row.pk
    if shown.project and provider.project:
        made.project = provider.project, shown.project
    return made


def _key(row: OwnKey) -> Key:
    access = _access(row) if row.is_at_home else None
    return Key(row.pk, row.provider_id, row.provider.name, row.prefix, row.falls_back, access)


def _access(row: OwnKey) -> Access | None:
    provider = row.provider
    shown = (
        *(provider.auth, provider.hosting, provider.dialect, provider.region),
        provider.project,
    )
    same = (row.pk, row.version, row.sealed, provider.vendor, address(row), *shown)
    with _making:
        if same not in _made:
            try:
                _made[same] = introduced(row)
            except ValueError as error:  # vault.Unreadable among them
                logger.critical("own_key.unreadable %s: %s", row.pk, error)
                return None
            if len(_made) > _MOST:
                _made.popitem(last=False)
        _made.move_to_end(same)
        return _made[same]
