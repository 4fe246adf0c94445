"""Balances that have become low, as their owners want to hear."""

from collections.abc import Iterable

from django.db.models import F
from django.db.models.functions import Coalesce

from billing.books.models import Wallet
from billing.mails import notices
from billing.mails.models import Notice, Preferences
from hontoni import rowsets
from hontoni.money import dollars


def warn(user_ids: Iterable[int]) -> None:
    """Tell who has come down to the threshold they chose: once, until money comes or goes again.

    Call it in the transaction that settled their usage.
    """
    threshold = Coalesce("user__preferences__low_balance", Preferences.LOW_BALANCE)
    wallets = Wallet.objects.filter(pk__in=_low(user_ids)).annotate(threshold=threshold)
    low = wallets.filter(credits_total__lte=F("settled_total") + F("threshold")).order_by("pk")
    # Any posting but usage makes a new version: then it is news again.
    found = {f"low:{wallet.pk}:{wallet.credits_version}": wallet for wallet in low}
    noticed = Notice.objects.filter(key__in=found).values_list("key", flat=True) if found else ()
    notices.tell_all(
        Notice(
            user_id=found[key].pk,
            kind="low_balance",
            key=key,
            facts={
                "balance": dollars(found[key].balance),
                "threshold": dollars(found[key].threshold),
            },
        )
        for key in sorted(found.keys() - set(noticed))
    )


def _low(user_ids: Iterable[int]) -> list[int]:
    """Who is at their threshold, of thousands: in one statement that names them once."""
    found = rowsets.select(
        f"SELECT wallet.user_id FROM {Wallet._meta.db_table} wallet"
        f" LEFT JOIN {Preferences._meta.db_table} chosen ON chosen.user_id = wallet.user_id"
        " WHERE wallet.user_id {among} AND wallet.credits_total <= wallet.settled_total"
        f" + COALESCE(chosen.low_balance, {int(Preferences.LOW_BALANCE)})",
        list(user_ids),
        "bigint",
    )
    return [user_id for (user_id,) in found]
