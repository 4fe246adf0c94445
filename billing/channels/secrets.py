"""What channels keep sealed: the secrets that sign webhooks, and the addresses of Slack."""

from django.db import transaction

from billing.channels.models import Channel
from hontoni.vault import Vault

VAULT = Vault("channels")
_COLUMNS = ("sealed", "sealed_before")


@transaction.atomic
def reseal() -> int:
    """Under the newest key; how many channels. Raises vault.Unreadable."""
    found = list(Channel.objects.exclude(sealed="").select_for_update())
    for channel in found:
        for column in _COLUMNS:
            if sealed := getattr(channel, column):
                setattr(channel, column, VAULT.reseal(sealed))
    Channel.objects.bulk_update(found, _COLUMNS)
    return len(found)
