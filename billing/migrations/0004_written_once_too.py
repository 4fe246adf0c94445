"""Invoices and notices: the database refuses UPDATE and DELETE (the function is 0002's)."""

from django.db import migrations

TABLES = ["billing_invoice", "billing_notice"]


def seal(apps, schema_editor):
    for table in TABLES:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(
                f"CREATE TRIGGER {table}_once BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION billing_refuse()"
            )
            continue
        for verb in ["UPDATE", "DELETE"]:
            schema_editor.execute(
                f"CREATE TRIGGER {table}_once_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} rows are written once'); END"
            )


def unseal(apps, schema_editor):
    for table in TABLES:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP TRIGGER {table}_once ON {table}")
            continue
        for verb in ["update", "delete"]:
            schema_editor.execute(f"DROP TRIGGER {table}_once_{verb}")


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_subscriptions")]

    operations = [migrations.RunPython(seal, unseal)]
