from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("gateway", "0006_features")]

    operations = [
        migrations.AddField(
            model_name="usagequarantine",
            name="kind",
            field=models.CharField(
                choices=[("absurd", "nobody can believe it"), ("capped", "costs more than was held")],
                db_default="absurd",
                default="absurd",
                max_length=20,
            ),
        ),
    ]
