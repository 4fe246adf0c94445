"""Roots of the ledger: the database refuses UPDATE and DELETE (the function is 0002's)."""

from django.db import migrations

TABLE = "billing_ledgerroot"


def seal(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_once BEFORE UPDATE OR DELETE ON {TABLE} "
            "FOR EACH ROW EXECUTE FUNCTION billing_refuse()"
        )
        return
    for verb in ["UPDATE", "DELETE"]:
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_once_{verb.lower()} BEFORE {verb} ON {TABLE} "
            f"BEGIN SELECT RAISE(ABORT, '{TABLE} rows are written once'); END"
        )


def unseal(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER {TABLE}_once ON {TABLE}")
        return
    for verb in ["update", "delete"]:
        schema_editor.execute(f"DROP TRIGGER {TABLE}_once_{verb}")


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_proof")]

    operations = [migrations.RunPython(seal, unseal)]
