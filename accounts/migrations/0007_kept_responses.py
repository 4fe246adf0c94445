from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_proof'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='keeps_responses',
            field=models.BooleanField(db_default=True, default=True, editable=False),
        ),
    ]
