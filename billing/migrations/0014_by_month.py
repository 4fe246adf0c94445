"""Transfers and entries by month, on Postgres: no row is touched, traffic goes on.

Foreign keys into them are columns with an index from here on: a month that is dropped would have
them all looked through. What refers to a transfer refers to one that is kept.
"""

import django.db.models.deletion
from django.db import migrations, models
from django.utils import timezone

from billing.books.monthly import ENTRIES, TRANSFERS
from hontoni.partitions import Conversion, convert

IDS = """
CREATE OR REPLACE FUNCTION hontoni_monthly_id(sequence regclass) RETURNS bigint
LANGUAGE sql VOLATILE AS $$
    SELECT ((extract(year FROM now() AT TIME ZONE 'UTC')::bigint - 2000) * 12
            + extract(month FROM now() AT TIME ZONE 'UTC')::bigint - 1) * 100000000000
           + nextval(sequence)
$$
"""
ONE_KEY = """
CREATE OR REPLACE FUNCTION billing_one_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1819566951, abs(hashtext(NEW.key) % 1024));
    IF EXISTS (SELECT 1 FROM billing_transfer WHERE key = NEW.key) THEN
        RAISE EXCEPTION 'the key % is posted', NEW.key USING ERRCODE = 'unique_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER billing_transfer_one_key BEFORE INSERT ON billing_transfer
FOR EACH ROW WHEN (NEW.kind <> 'usage') EXECUTE FUNCTION billing_one_key()
"""


def by_month(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(IDS)
    for table in (TRANSFERS, ENTRIES):
        default = f"hontoni_monthly_id('{table.table}_id_seq')"
        convert(Conversion(table, default, left_out=_for_like(schema_editor)), timezone.now())
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(ONE_KEY)


def _for_like(schema_editor):
    """Nobody looks for a part of a key."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE tablename = 'billing_transfer' "
            "AND indexname LIKE 'billing\\_transfer\\_key\\_%\\_like'"
        )
        return frozenset(name for (name,) in cursor.fetchall())


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0013_written_once_roots")]

    operations = [
        migrations.RunPython(by_month, migrations.RunPython.noop, atomic=False),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "entry",
                    "transfer",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="billing.transfer",
                    ),
                ),
                migrations.AlterField(
                    "invoice",
                    "transfer",
                    models.OneToOneField(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invoice",
                        to="billing.transfer",
                    ),
                ),
                migrations.AlterField(
                    "redemption",
                    "top_up",
                    models.OneToOneField(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bonus",
                        to="billing.transfer",
                    ),
                ),
            ]
        ),
    ]
