from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0011_role_grants'),
    ]

    operations = [
        migrations.AddField(
            model_name='credential',
            name='entered_for',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=300),
        ),
        migrations.AddField(
            model_name='reportsource',
            name='entered_for',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=300),
        ),
    ]
