"""Everything between an empty database and a product that can start: check, migrate, seed."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.test.utils import override_settings

from billing.plans.seed import seed as seed_billing
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.dashboard.roles import seed as seed_roles

FIRST = "0001_initial"


def _migrate_at_once(executor: MigrationExecutor) -> None:
    """Migrate an embedded database that has not met dj-stripe, whose migrations take a minute.

    Its tables are made from its models, and its migrations written down as applied: from here on
    the database is like any other. A test compares the two; production runs the real ones.
    Interrupted, it is begun again.
    """
    with override_settings(MIGRATION_MODULES={"djstripe": "billing.stripe.mirror_tables"}):
        call_command("migrate", interactive=False, verbosity=1)
    with transaction.atomic():
        for app, name in executor.loader.disk_migrations:
            if app == "djstripe" and name != FIRST:  # that one was the step
                executor.recorder.record_applied(app, name)


class Command(BaseCommand):
    help = "Check, migrate, seed what is sold and the roles of staff. Repeating it is harmless."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("check")
        executor = MigrationExecutor(connection)
        known = {name for app, name in executor.loader.applied_migrations if app == "djstripe"}
        if settings.EMBEDDED_DATABASE and known <= {FIRST}:
            _migrate_at_once(executor)
        elif executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, verbosity=1)
        seed_billing()
        seed_catalogue()
        seed_roles()
