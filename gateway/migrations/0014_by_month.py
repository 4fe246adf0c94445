"""Usage events by month, on Postgres: no row is touched, traffic goes on.

Foreign keys into them are columns with an index from here on: a month that is dropped would have
them all looked through. What refers to an event refers to one that is kept.
"""

import django.db.models.deletion
from django.db import migrations, models
from django.utils import timezone

from billing.books.monthly import TRANSFERS
from gateway.usage.monthly import EVENTS
from hontoni.partitions import Conversion, convert, drop_references

# What narrows the log is found by its hours: gateway/usage/log.py.
LEFT_OUT = frozenset(("usage_of_key", "usage_of_model", "usage_of_tool"))


def by_month(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    convert(Conversion(EVENTS, left_out=LEFT_OUT), timezone.now())
    with schema_editor.connection.cursor() as cursor:
        drop_references(cursor, TRANSFERS.table)  # of tables that are younger than its months


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("gateway", "0013_stores"), ("billing", "0014_by_month")]

    operations = [
        migrations.RunPython(by_month, migrations.RunPython.noop, atomic=False),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "correctedaccount",
                    "transfer",
                    models.OneToOneField(
                        db_constraint=False,
                        help_text="Of the difference; none where both are the same.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.transfer",
                    ),
                ),
                migrations.AlterField(
                    "correctedrequest",
                    "event",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="corrections",
                        to="gateway.usageevent",
                    ),
                ),
                migrations.AlterField(
                    "usagequarantine",
                    "event",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="gateway.usageevent",
                    ),
                ),
            ]
        ),
    ]
