from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0009_vendor_bills'),
    ]

    operations = [
        migrations.AddField(
            model_name='usageevent',
            name='batch',
            field=models.UUIDField(editable=False, null=True),
        ),
    ]
