from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0005_tools_and_refusals'),
    ]

    operations = [
        migrations.AddField(
            model_name='usageevent',
            name='batch',
            field=models.UUIDField(editable=False, null=True),
        ),
    ]
