"""Transfers, entries and audit entries: the database refuses UPDATE and DELETE."""

from django.db import migrations

TABLES = ["billing_transfer", "billing_entry", "billing_auditentry"]

POSTGRES = """
CREATE FUNCTION billing_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are written once', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def seal(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES, params=None)
        for table in TABLES:
            schema_editor.execute(
                f"CREATE TRIGGER {table}_once BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION billing_refuse()"
            )
        return
    for table in TABLES:
        for verb in ["UPDATE", "DELETE"]:
            schema_editor.execute(
                f"CREATE TRIGGER {table}_once_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} rows are written once'); END"
            )


def unseal(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(f"DROP TRIGGER {table}_once ON {table}")
        schema_editor.execute("DROP FUNCTION billing_refuse()")
        return
    for table in TABLES:
        for verb in ["update", "delete"]:
            schema_editor.execute(f"DROP TRIGGER {table}_once_{verb}")


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunPython(seal, unseal)]
