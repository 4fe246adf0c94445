"""Checkpoints, and what they allow: a charge for usage, and its entries, may be deleted where one
says that they are in the archive. Nothing else of the books ever may."""

import django.db.models.deletion
from django.db import migrations, models

NEW = ["billing_checkpoint", "billing_broughtforward"]
OLD = {"billing_transfer": "id", "billing_entry": "transfer_id"}

COVERED = """
    EXISTS (SELECT 1 FROM billing_checkpoint WHERE transfers_until > {0})
    AND EXISTS (SELECT 1 FROM billing_transfer WHERE id = {0} AND kind = 'usage')
"""
POSTGRES = f"""
CREATE OR REPLACE FUNCTION billing_refuse_unless_archived() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moved bigint := (to_jsonb(OLD) ->> TG_ARGV[0])::bigint;
BEGIN
    IF TG_OP = 'DELETE' AND {COVERED.format("moved")} THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% rows are written once', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def seal(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES, params=None)
        for table in NEW:
            _on_postgres(schema_editor, table, "billing_refuse()")
        for table, column in OLD.items():
            schema_editor.execute(f"DROP TRIGGER {table}_once ON {table}")
            _on_postgres(schema_editor, table, f"billing_refuse_unless_archived('{column}')")
        return
    for table in NEW:
        for verb in ["UPDATE", "DELETE"]:
            _on_sqlite(schema_editor, table, verb)
    for table, column in OLD.items():
        schema_editor.execute(f"DROP TRIGGER {table}_once_delete")
        covered = COVERED.format(f"OLD.{column}")
        _on_sqlite(schema_editor, table, "DELETE", f"WHEN NOT ({covered})")


def _on_postgres(schema_editor, table, function):
    schema_editor.execute(
        f"CREATE TRIGGER {table}_once BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {function}"
    )


def _on_sqlite(schema_editor, table, verb, when=""):
    schema_editor.execute(
        f"CREATE TRIGGER {table}_once_{verb.lower()} BEFORE {verb} ON {table} {when} "
        f"BEGIN SELECT RAISE(ABORT, '{table} rows are written once'); END"
    )


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0014_by_month'),
    ]

    operations = [
        migrations.CreateModel(
            name='Checkpoint',
            fields=[
                ('number', models.PositiveIntegerField(help_text='1, 2, 3 ...', primary_key=True, serialize=False)),
                ('month', models.DateField(unique=True)),
                ('transfers_until', models.BigIntegerField()),
                ('usage_until', models.UUIDField()),
                ('statement', models.TextField(help_text='JSON, to the byte what was signed.')),
                ('public_key', models.CharField(max_length=64)),
                ('signature', models.CharField(max_length=128)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['number'],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='BroughtForward',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first_version', models.BigIntegerField()),
                ('last_version', models.BigIntegerField()),
                ('amount', models.BigIntegerField()),
                ('balance_after', models.BigIntegerField()),
                ('last_at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='brought_forward', to='billing.ledgeraccount')),
                ('checkpoint', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='brought_forward', to='billing.checkpoint')),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('account', 'first_version'), name='brought_forward_once'), models.CheckConstraint(condition=models.Q(('last_version__gte', models.F('first_version'))), name='brought_forward_in_order')],
            },
        ),
        migrations.RunPython(seal, migrations.RunPython.noop),
    ]
