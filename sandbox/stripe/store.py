"""Every object of the account, by id, and its snapshot on disk.

Objects are the dicts that go over the wire, with ids where Stripe would expand; a key that
starts with an underscore is the simulator's own and never leaves it. One event loop writes.
"""

import os
import secrets
import string
from pathlib import Path
from typing import Any

import orjson

from sandbox.stripe.errors import Object, no_such

ALPHABET = string.ascii_letters + string.digits
# Prefix and number of random characters, as Stripe's ids look.
IDS = {
    "balance_transaction": ("txn_1", 23),
    "billing_portal.session": ("bps_1", 23),
    "charge": ("ch_3", 23),
    "checkout.session": ("cs_test_a1", 56),
    "customer": ("cus_", 14),
    "dispute": ("du_1", 23),
    "event": ("evt_1", 23),
    "invoice": ("in_1", 23),
    "invoice_payment": ("inpay_1", 23),
    "invoiceitem": ("ii_1", 23),
    "item": ("li_1", 23),
    "line_item": ("il_1", 23),
    "payment_intent": ("pi_3", 23),
    "payment_method": ("pm_1", 23),
    "payout": ("po_1", 23),
    "price": ("price_1", 23),
    "product": ("prod_", 14),
    "refund": ("re_3", 23),
    "setup_intent": ("seti_1", 23),
    "subscription": ("sub_1", 23),
    "subscription_item": ("si_", 14),
    "tax_rate": ("txr_1", 23),
    "webhook_endpoint": ("we_1", 23),
}


def random_id(prefix: str, length: int) -> str:
    """A prefix and that many random letters and digits."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


class Store:
    """The objects, by kind and id, each kind in the order of creation."""

    def __init__(self) -> None:
        self.kinds: dict[str, dict[str, Object]] = {}
        self.kind_of: dict[str, str] = {}

    def new_id(self, kind: str) -> str:
        """A fresh id of that kind."""
        return random_id(*IDS[kind])

    def add(self, obj: Object) -> Object:
        """Keep an object; it must have `id` and `object`."""
        kind, id = obj["object"], obj["id"]
        self.kinds.setdefault(kind, {})[id] = obj
        self.kind_of[id] = kind
        return obj

    def find(self, id: object) -> Object | None:
        """The object of that id, whatever its kind."""
        kind = self.kind_of.get(id) if isinstance(id, str) else None
        return self.kinds[kind][id] if kind and isinstance(id, str) else None

    def need(self, kind: str, id: str, param: str = "id") -> Object:
        """The object, or Stripe's resource_missing error."""
        try:
            return self.kinds[kind][id]
        except KeyError:
            raise no_such(kind, id, param) from None

    def all(self, kind: str) -> list[Object]:
        """Every object of a kind, oldest first."""
        return list(self.kinds.get(kind, {}).values())

    def remove(self, id: str) -> None:
        """Forget an object."""
        del self.kinds[self.kind_of.pop(id)][id]

    def dump(self) -> dict[str, list[Object]]:
        """What a snapshot holds."""
        return {kind: list(objects.values()) for kind, objects in self.kinds.items()}

    def load(self, dumped: dict[str, list[Object]]) -> None:
        """Take a snapshot back."""
        for objects in dumped.values():
            for obj in objects:
                self.add(obj)


def write_snapshot(path: Path, state: dict[str, Any]) -> None:
    """Replace the file in one step, so that a crash leaves the old one whole."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(orjson.dumps(state))
    beside.chmod(0o600)  # it holds webhook secrets
    os.replace(beside, path)


def read_snapshot(path: Path | None) -> dict[str, Any]:
    """The last snapshot, or nothing."""
    if path is None or not path.exists():
        return {}
    state: dict[str, Any] = orjson.loads(path.read_bytes())
    return state
