"""Months that are closed: the database refuses what is dated in one."""

from django.db import migrations, models

TABLES = {"billing_transfer": "created_at", "billing_invoice": "issued_at"}
POSTGRES = """
CREATE OR REPLACE FUNCTION billing_refuse_closed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM fresh WHERE %I < '
                   '(SELECT max(ends_at) FROM billing_closedmonth))', TG_ARGV[0]) INTO found;
    IF found THEN
        RAISE EXCEPTION '%: that month is closed', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$
"""


def close(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES, params=None)
        for table, column in TABLES.items():
            schema_editor.execute(
                f"CREATE TRIGGER {table}_not_closed AFTER INSERT ON {table} "
                "REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT "
                f"EXECUTE FUNCTION billing_refuse_closed('{column}')"
            )
        schema_editor.execute(
            "CREATE TRIGGER billing_closedmonth_once BEFORE UPDATE OR DELETE ON "
            "billing_closedmonth FOR EACH ROW EXECUTE FUNCTION billing_refuse()"
        )
        return
    for table, column in TABLES.items():
        schema_editor.execute(
            f"CREATE TRIGGER {table}_not_closed BEFORE INSERT ON {table} "
            f"WHEN NEW.{column} < (SELECT max(ends_at) FROM billing_closedmonth) "
            f"BEGIN SELECT RAISE(ABORT, '{table}: that month is closed'); END"
        )
    for verb in ("UPDATE", "DELETE"):
        schema_editor.execute(
            f"CREATE TRIGGER billing_closedmonth_once_{verb.lower()} BEFORE {verb} ON "
            "billing_closedmonth BEGIN SELECT RAISE(ABORT, "
            "'billing_closedmonth rows are written once'); END"
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0016_dollars_a_month")]

    operations = [
        migrations.CreateModel(
            name="ClosedMonth",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField(unique=True)),
                ("ends_at", models.DateTimeField(help_text="The first moment after it (UTC).")),
                ("statement", models.TextField(help_text="JSON, to the byte what was signed.")),
                ("public_key", models.CharField(max_length=64)),
                ("signature", models.CharField(max_length=128)),
                ("closed_by", models.CharField(max_length=254)),
                ("closed_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["-month"],
                "permissions": [
                    ("close_month", "Can close a month of the books"),
                    ("export_books", "Can export the books for accountants"),
                ],
            },
        ),
        migrations.RunPython(close, migrations.RunPython.noop),
    ]
