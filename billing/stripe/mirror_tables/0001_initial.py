"""The tables of the dj-stripe that is installed."""

from typing import Any

from django.apps import apps as installed
from django.conf import settings
from django.db import migrations


def create(apps: Any, schema_editor: Any) -> None:
    for model in installed.get_app_config("djstripe").get_models():
        schema_editor.create_model(model)
        if schema_editor.connection.vendor == "postgresql":
            _widen(schema_editor, model)


def _widen(schema_editor: Any, model: Any) -> None:
    """Its models say `integer` of three keys that its migrations made `bigint`."""
    key = model._meta.pk
    if key.db_type(schema_editor.connection) == "integer":
        schema_editor.execute(
            f"ALTER TABLE {model._meta.db_table} ALTER COLUMN {key.column} TYPE bigint"
        )


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [migrations.RunPython(create)]
