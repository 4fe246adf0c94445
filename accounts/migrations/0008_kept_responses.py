from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0007_legal'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='keeps_responses',
            field=models.BooleanField(db_default=True, default=True, editable=False),
        ),
    ]
