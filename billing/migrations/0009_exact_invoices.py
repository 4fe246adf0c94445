

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def reseal(apps, schema_editor):
    """SQLite rebuilt the table, and lost the triggers of 0004_written_once_too with it."""
    if schema_editor.connection.vendor == "postgresql":
        return
    for verb in ["UPDATE", "DELETE"]:
        schema_editor.execute(
            f"CREATE TRIGGER IF NOT EXISTS billing_invoice_once_{verb.lower()} "
            f"BEFORE {verb} ON billing_invoice "
            "BEGIN SELECT RAISE(ABORT, 'billing_invoice rows are written once'); END"
        )


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0008_renewals'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, reseal),  # last on the way back
        migrations.AddField(
            model_name='billingdetails',
            name='country',
            field=models.CharField(blank=True, db_default='', default='', help_text='Two letters, such as VN or DE.', max_length=2, validators=[django.core.validators.RegexValidator('^[A-Z]{2}\\Z', 'Two capital letters, such as VN or DE.')]),
        ),
        migrations.AddField(
            model_name='invoice',
            name='cause',
            field=models.CharField(blank=True, db_default='', default='', help_text='What at Stripe it is about, where the ledger moved nothing.', max_length=255),
        ),
        migrations.AddField(
            model_name='invoice',
            name='note',
            field=models.TextField(blank=True, db_default='', default='', help_text='What the law wants said.'),
        ),
        migrations.AddField(
            model_name='invoice',
            name='paid_at',
            field=models.DateTimeField(blank=True, help_text='Empty: when it was issued.', null=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='paid_by',
            field=models.CharField(blank=True, db_default='', default='', max_length=100),
        ),
        migrations.AddField(
            model_name='invoice',
            name='tax',
            field=models.BigIntegerField(db_default=0, default=0, help_text='Of the total.'),
        ),
        migrations.AddField(
            model_name='invoice',
            name='tax_name',
            field=models.CharField(blank=True, db_default='', default='', max_length=50),
        ),
        migrations.AddField(
            model_name='invoice',
            name='tax_on_top',
            field=models.BooleanField(db_default=False, default=False, help_text='The lines are before tax; else they contain it.'),
        ),
        migrations.AlterField(
            model_name='invoice',
            name='total',
            field=models.BigIntegerField(help_text='With tax. Negative on a credit note.'),
        ),
        migrations.AlterField(
            model_name='invoice',
            name='transfer',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='invoice', to='billing.transfer'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(condition=models.Q(('cause', ''), _negated=True), fields=('cause',), name='invoice_cause_once'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cause__gt', ''), ('transfer', None)), models.Q(('cause', ''), ('transfer__isnull', False)), _connector='OR'), name='invoice_of_one_thing'),
        ),
        migrations.RunPython(reseal, migrations.RunPython.noop),
    ]
