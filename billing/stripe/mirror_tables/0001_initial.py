"""The tables of the dj-stripe that is installed."""

from typing import Any

from django.apps import apps as installed
from django.conf import settings
from django.db import migrations


def create(apps: Any, schema_editor: Any) -> None:
    for model in installed.get_app_config("djstripe").get_models():
        schema_editor.create_model(model)


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [migrations.RunPython(create)]
