"""The words that nobody wrote as such: what tables, columns and choices are called.

Django makes a column's label of its name. Here every label of our tables becomes translatable, one
that is added tomorrow too; `manage.py labels` prints them for who translates.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig, apps
from django.contrib import admin
from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from billing.payments import disputes
from gateway.catalogue.prices.labels import LABELS, SHORT
from gateway.vendors.presets import PRESETS

# Words of a few that code computes with: how an announcement stands, how a breaker does.
_WORDS = (
    *("draft", "scheduled", "running", "over", "withdrawn"),
    *("closed", "half-open", "open"),
)
OURS = ("accounts", "billing", "cockpit", "gateway", "operations")


def translate() -> None:
    """Once, when all tables are known and before anybody makes a form of them."""
    for config in _apps():
        config.verbose_name = _lazy(config.verbose_name)
        for model in config.get_models():
            options = model._meta
            options.verbose_name = _lazy(options.verbose_name)
            options.verbose_name_plural = _lazy(options.verbose_name_plural)
            for field in _columns(model):
                field.verbose_name = _lazy(field.verbose_name)
                field.help_text = _lazy(field.help_text)
                if field.choices:
                    field.choices = [(value, _lazy(label)) for value, label in field.choices]


def shown() -> Iterator[str]:
    """Every one of them that a page of the admin shows, in English."""
    yield from (str(config.verbose_name) for config in _apps())
    yield from _WORDS
    yield from (words for preset in PRESETS for words in (preset.group, preset.note))
    yield from (*LABELS.values(), *(each.capitalize() for each in LABELS.values()))
    yield from SHORT.values()
    yield from map(disputes.label, disputes.FIELDS)
    for model in sorted(_on_pages(), key=lambda each: each._meta.label):
        yield from map(str, (model._meta.verbose_name, model._meta.verbose_name_plural))
        yield from (name for _, name in model._meta.permissions)
        for field in _columns(model):
            yield from map(str, (field.verbose_name, field.help_text))
            yield from (str(label) for _, label in field.choices or ())


def _on_pages() -> set[type[models.Model]]:
    pages = admin.site._registry.values()
    found = {each.model for each in (*pages, *(tab for page in pages for tab in page.inlines))}
    ours = {model for config in _apps() for model in config.get_models()}
    return found & ours


def _apps() -> Iterator[AppConfig]:
    return (each for each in apps.get_app_configs() if each.module.__name__.startswith(OURS))  # type: ignore[union-attr]


def _columns(model: type[models.Model]) -> Iterator[Any]:
    yield from (*model._meta.local_fields, *model._meta.local_many_to_many)


def _lazy(words: Any) -> Any:
    """Translated when it is read; what is nothing, or lazy already, stays as it is."""
    return gettext_lazy(words) if words and not isinstance(words, Promise) else words
