"""An account's terms: everything that says what it and its keys may do on /v1.

Every gateway process holds a snapshot of them. `User.terms_version` numbers them, and admission
refuses to decide by a snapshot older than the number in Redis: so a change holds on every node
from the next request on. Should the push to Redis get lost, snapshots expire after 30 seconds.
"""

import logging

from django.db import transaction
from django.db.models import F

from accounts.models import User
from hontoni import errors
from ratelimits import limiter

logger = logging.getLogger(__name__)


def changed(user_id: int) -> None:
    """Say so in the transaction that changes a key, a plan, an add-on or a freeze."""
    User.objects.filter(pk=user_id).update(terms_version=F("terms_version") + 1)
    version = User.objects.values_list("terms_version", flat=True).get(pk=user_id)
    transaction.on_commit(lambda: _publish(user_id, version))


def _publish(user_id: int, version: int) -> None:
    try:
        limiter.publish_terms(user_id, version)
    except errors.Unavailable:
        logger.exception("Terms of account %s are not published: %s", user_id, version)
