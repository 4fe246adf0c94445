"""Dialects of endpoints that are no conversation: a choice more, and nothing in the database."""

from django.db import migrations, models

_DIALECTS = [
    ("openai_chat", "OpenAI Chat Completions"),
    ("openai_responses", "OpenAI Responses"),
    ("anthropic_messages", "Anthropic Messages"),
    ("gemini", "Google Gemini"),
    ("openai_embeddings", "OpenAI embeddings"),
    ("openai_moderations", "OpenAI moderations"),
    ("openai_images", "OpenAI images"),
    ("openai_transcriptions", "OpenAI transcriptions"),
    ("openai_speech", "OpenAI speech"),
    ("gemini_embeddings", "Google Gemini embeddings"),
    ("converse", "Amazon Bedrock Converse"),
]


def _dialect(model, **options):
    field = models.CharField(choices=_DIALECTS, max_length=30, **options)
    return migrations.AlterField(model, "dialect", field)


class Migration(migrations.Migration):
    dependencies = [("gateway", "0018_vendors_anywhere")]

    operations = [
        _dialect("feature", help_text="in which the vendor is asked"),
        _dialect("leftout"),
        _dialect("model", help_text="spoken to its vendor"),
        _dialect(
            "provider",
            blank=True,
            db_default="",
            help_text="what it speaks; empty: what that vendor speaks, else Chat Completions",
        ),
        _dialect("offering", blank=True, help_text="empty: the provider's usual one"),
    ]
