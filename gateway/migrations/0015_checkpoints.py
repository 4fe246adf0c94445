import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLE = "gateway_usagebroughtforward"


def seal(apps, schema_editor):
    """Written once (the function is billing's 0002)."""
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


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0015_checkpoints'),
        ('gateway', '0014_by_month'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='UsageBroughtForward',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('requests', models.BigIntegerField()),
                ('cost', models.BigIntegerField(help_text='nano-dollars charged')),
                ('checkpoint', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='usage', to='billing.checkpoint')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('checkpoint', 'user'), name='usage_brought_forward_once')],
            },
        ),
        migrations.RunPython(seal, migrations.RunPython.noop),
    ]
