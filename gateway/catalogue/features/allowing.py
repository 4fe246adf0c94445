"""What was left out, allowed by staff or forgotten.

Its names come from clients. A name is only ever a name: what the list would read otherwise (a
beginning, a member of a member that is not listed so far) is no vendor's, and is not allowed.
"""

import re

from django.utils.translation import gettext_noop

from gateway.catalogue import clock
from gateway.catalogue.features import prices
from gateway.catalogue.features.models import Feature, Kind, LeftOut, Pricing

_NAME = re.compile(r"[A-Za-z0-9_.:/@-]+")
_VALUE = re.compile(r"[A-Za-z0-9_.]+=[A-Za-z0-9_.:/@-]+")
_SHORTENED = 80  # gateway/catalogue/features/sift.py keeps no more of a name


def refusal(row: LeftOut) -> str:
    """Why it cannot be allowed as it is, for nothing; empty if it can."""
    spelled = (_VALUE if row.kind == Kind.VALUE else _NAME).fullmatch(row.name)
    if spelled is None or len(row.name) >= _SHORTENED or not _has_container(row):
        return gettext_noop("no vendor has something of that name")
    of_it = Feature.objects.filter(dialect=row.dialect, kind=row.kind, name=row.name)
    priced = prices.in_force(of_it, clock.now()).values()
    if any(each.pricing != Pricing.INCLUDED for each in priced):
        return gettext_noop("it costs money: allow it at a price")
    return ""


def _has_container(row: LeftOut) -> bool:
    """A first member listed of a container would leave out all its others."""
    container, dot, _ = row.name.rpartition(".")
    if row.kind != Kind.MEMBER or not dot:
        return True
    listed = Feature.objects.filter(dialect=row.dialect, kind=Kind.MEMBER, active=True)
    return listed.filter(name__startswith=f"{container}.").exists()


def allow(row: LeftOut) -> None:
    """Put it on the list, and off this one."""
    which = {"dialect": row.dialect, "kind": row.kind, "name": row.name, "only_models": ""}
    Feature.objects.update_or_create(
        **which,
        defaults={"active": True},
        create_defaults={"note": "allowed from what was left out"},
    )
    row.delete()


def forget_allowed(feature: Feature) -> None:
    """What staff have put on the list by hand was left out before."""
    if feature.active:
        LeftOut.objects.filter(
            dialect=feature.dialect, kind=feature.kind, name=feature.name
        ).delete()
