"""Who has paid for what, of the last 30 days: they are told of a rise."""

import uuid
from datetime import timedelta
from typing import Any

from django.db import migrations
from django.utils import timezone


def note(apps: Any, schema_editor: Any) -> None:
    """From the lines of the receipts, whose ids are in the order of time."""
    since = timezone.now() - timedelta(days=30)
    first = uuid.UUID(int=round(since.timestamp() * 1000) << 80)
    rows = apps.get_model("gateway", "UsageEvent").objects.filter(
        id__gte=first, details__has_key="lines"
    )
    last: dict[tuple[int, int], Any] = {}
    facts = rows.order_by("id").values_list("user_id", "created_at", "details__lines")
    for user, at, lines in facts.iterator():
        for line in lines or ():
            if feature := line.get("feature_id"):
                last[user, feature] = at
    uses = apps.get_model("gateway", "FeatureUse")
    uses.objects.bulk_create(
        uses(user_id=user, feature_id=feature, last_at=at) for (user, feature), at in last.items()
    )


class Migration(migrations.Migration):
    dependencies = [("gateway", "0024_feature_prices")]
    operations = [migrations.RunPython(note, migrations.RunPython.noop)]
