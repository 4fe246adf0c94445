"""The newest accounts are found among all."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_kept_responses")]

    operations = [
        migrations.AddIndex("user", models.Index(fields=["created_at"], name="user_by_age"))
    ]
