"""Which gateways live, and whether each has announced its requests in an epoch.

Said in the database, for Valkey may have lost it. The clock is the database's.

Gateways of the release before keep their requests elsewhere in Valkey. We read both; they know
nothing of ours, so they must not make an account anew while one of ours lives: a mark behind our
epochs has them take us for late. We take them at their word.
"""

import socket
from datetime import timedelta

from django.db.models.functions import Now

from gateway.stores import spool
from gateway.stores.models import Node

BEAT_SECONDS = 5.0
OURS = ".2"  # behind an epoch: of the gateways that keep a subject in one value
DEAD = timedelta(seconds=20)  # a node silent for so long runs no request any more


def beat(node: str, epoch: str) -> None:
    """This gateway lives, and has announced its requests in that epoch."""
    mine = {"host": socket.gethostname(), "spool": str(spool.folder(node)), "epoch": epoch + OURS}
    Node.objects.update_or_create(pk=node, defaults={**mine, "seen_at": Now()})


def leave(node: str) -> None:
    """This gateway runs no request any more."""
    Node.objects.filter(pk=node).delete()


def behind(epoch: str) -> list[str]:
    """The gateways that live and have not announced their requests in an epoch."""
    others = Node.objects.exclude(epoch__in=(epoch, epoch + OURS)).annotate(now=Now())
    return [node.pk for node in others if not _is_dead(node)]


def _is_dead(node: Node) -> bool:
    """Silent for long, or on this host and without its process. Then it is forgotten."""
    now = vars(node)["now"]
    here = node.host == socket.gethostname()
    if now - node.seen_at > DEAD or here and spool.is_orphan(node.spool):
        Node.objects.filter(pk=node.pk, epoch=node.epoch).delete()
        return True
    return False
