from django.db import migrations, models

_DIALECTS = {
    "anthropic": "anthropic_messages",
    "openai": "openai_responses",
    "google": "gemini",
}


def fill(apps, schema_editor):
    """What each model already on sale is spoken to in."""
    model = apps.get_model("gateway", "Model")
    for vendor, dialect in _DIALECTS.items():
        model.objects.filter(vendor=vendor).update(dialect=dialect)
    chat = ("gpt-4o", "gpt-4o-mini", "gpt-4.1")
    model.objects.filter(upstream_id__in=chat).update(dialect="openai_chat")


class Migration(migrations.Migration):
    dependencies = [("gateway", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="model",
            name="dialect",
            field=models.CharField(
                choices=[
                    ("openai_chat", "OpenAI Chat Completions"),
                    ("openai_responses", "OpenAI Responses"),
                    ("anthropic_messages", "Anthropic Messages"),
                    ("gemini", "Google Gemini"),
                ],
                default="openai_chat",
                help_text="spoken to its vendor",
                max_length=30,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="model",
            name="long_context_window",
            field=models.PositiveIntegerField(
                blank=True, help_text="tokens with the suffix -1m; empty: refused", null=True
            ),
        ),
        migrations.AddField(
            model_name="model",
            name="long_context_beta",
            field=models.CharField(
                blank=True,
                help_text="the anthropic-beta that -1m switches on, if any",
                max_length=100,
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
