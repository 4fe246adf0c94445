"""Everything between an empty database and a product that can start: check, migrate, seed."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from billing.seed import seed as seed_billing
from gateway.roles import seed as seed_roles
from gateway.seed import seed as seed_catalogue


class Command(BaseCommand):
    help = "Check, migrate, seed what is sold and the roles of staff. Repeating it is harmless."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("check")
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, verbosity=1)
        seed_billing()
        seed_catalogue()
        seed_roles()
