from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_language'),
    ]

    operations = [
        migrations.AddField(
            model_name='apikey',
            name='lifetime_cap',
            field=models.BigIntegerField(blank=True, null=True),
        ),
    ]
