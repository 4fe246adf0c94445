"""All customers' last hours are found among those of all years.

On Postgres it is built while settlement goes on writing.
"""

from django.db import migrations, models

NAME = "usage_hour_by_hour"


def build(apps, schema_editor):
    concurrently = "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            f"CREATE INDEX {concurrently} IF NOT EXISTS {NAME} ON gateway_usagehour (hour)"
        )


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("gateway", "0020_saved_views")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(build, migrations.RunPython.noop)],
            state_operations=[
                migrations.AddIndex("usagehour", models.Index(fields=["hour"], name=NAME))
            ],
        )
    ]
