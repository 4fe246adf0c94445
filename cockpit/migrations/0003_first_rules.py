"""The rules of the watch as they are at first. What a later release adds, its first look adds."""

from decimal import Decimal

from django.db import migrations

from cockpit.watch.rules import MEANINGS


def seed(apps, schema_editor):
    rules = apps.get_model("cockpit", "Rule").objects
    for kind, meaning in MEANINGS.items():
        first = {"threshold": Decimal(meaning.first), "least": Decimal(meaning.first_least)}
        rules.get_or_create(kind=str(kind), defaults=first | {"mail": meaning.mails})


class Migration(migrations.Migration):
    dependencies = [("cockpit", "0002_watch")]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
