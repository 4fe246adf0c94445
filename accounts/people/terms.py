"""An account's terms: everything that says what it and its keys may do on /v1.

Every gateway process holds a snapshot of them. `User.terms_version` numbers them, and admission
refuses to decide by a snapshot older than the number in Redis: so a change holds on every node
from the next request on. Should the push to Redis get lost, snapshots expire after 30 seconds.
"""

import logging
from collections.abc import Mapping

from django.db import transaction
from django.db.models import F

from accounts.models import User
from hontoni import errors
from ratelimits import limiter

logger = logging.getLogger(__name__)


def changed(*user_ids: int) -> None:
    """Say so in the transaction that changes a key, a plan, an add-on or a freeze."""
    users = User.objects.filter(pk__in=user_ids)
    users.update(terms_version=F("terms_version") + 1)
    versions = dict(users.values_list("pk", "terms_version"))
    transaction.on_commit(lambda: _publish(versions))


def _publish(versions: Mapping[int, int]) -> None:
    try:
        for user_id, version in versions.items():
            limiter.publish_terms(user_id, version)
    except errors.Unavailable:
        logger.exception("The terms of these accounts are not published: %s", list(versions))
