"""The words that nobody wrote as such: what tables, columns and choices are called.

Django makes a column's label of its name. Here every label of our tables becomes translatable, one
that is added tomorrow too; `manage.py labels` prints them for who translates.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig, apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import models
from django.forms import BaseForm
from django.forms.utils import pretty_name
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, gettext_noop

# Words of a few that code computes with: how an announcement stands, how a breaker does.
_WORDS = (
    *("draft", "scheduled", "running", "over", "withdrawn"),
    *("closed", "half-open", "open"),
    *("settlement", "worker", "books", "database", "redis", "new"),
)
_VERBS = {
    "add": gettext_noop("Can add: %(what)s"),
    "change": gettext_noop("Can change: %(what)s"),
    "delete": gettext_noop("Can delete: %(what)s"),
    "view": gettext_noop("Can view: %(what)s"),
}
OTHERS = ("account", "djstripe", "mfa", "socialaccount", "usersessions")
OURS = ("accounts", "billing", "cockpit", "gateway", "operations")


def translate() -> None:
    """Once, when all tables are known and before anybody makes a form of them."""
    for config in (*_apps(), *_others()):
        config.verbose_name = _lazy(config.verbose_name)
        for model in config.get_models():
            options = model._meta
            options.verbose_name = _lazy(options.verbose_name)
            if "verbose_name_plural" not in options.original_attrs:  # Django's, with an s
                options.verbose_name_plural = str(options.verbose_name_plural)
            options.verbose_name_plural = _lazy(options.verbose_name_plural)
            for field in _columns(model):
                field.verbose_name = _lazy(field.verbose_name)
                field.help_text = _lazy(field.help_text)
                if field.choices:
                    field.choices = [(value, _lazy(label)) for value, label in field.choices]


def name_fields(form: type[BaseForm]) -> None:
    """What a form has that no column is behind is called by its name, too."""
    for name, field in getattr(form, "declared_fields", {}).items():
        if field.label is None:
            field.label = _lazy(pretty_name(name))


def choice(permission: Permission) -> str:
    """A permission in a list to choose from: its table, and what it allows."""
    kind, verb = permission.content_type, permission.codename.partition("_")[0]
    name = _VERBS.get(verb) if permission.name.startswith(f"Can {verb} ") else None
    model = kind.model_class()
    of = model._meta.verbose_name if model else kind.model
    return f"{kind.app_labeled_name}: {gettext(name or permission.name) % {'what': of}}"


def shown() -> Iterator[str]:
    """Every one of them that a page of the admin shows, in English. Who only serves needs none of
    what names them."""
    from billing.payments import disputes
    from gateway.catalogue.bucket_labels import LABELS, OF_FEATURES, SHORT
    from gateway.vendors.presets import PRESETS

    yield from _WORDS
    yield from (words for preset in PRESETS for words in (preset.group, preset.title, preset.note))
    yield from (*LABELS.values(), *(each.capitalize() for each in LABELS.values()))
    yield from (*SHORT.values(), *OF_FEATURES.values())
    yield from map(disputes.label, disputes.FIELDS)
    for page in admin.site._registry.values():
        for name in getattr(page.form, "declared_fields", {}):
            yield pretty_name(name)
    for config in (*_apps(), *_others()):
        yield str(config.verbose_name)
        for model in config.get_models():
            yield from map(str, (model._meta.verbose_name, model._meta.verbose_name_plural))
    for model in sorted(_on_pages(), key=lambda each: each._meta.label):
        yield from map(str, (model._meta.verbose_name, model._meta.verbose_name_plural))
        yield from (name for _, name in model._meta.permissions)
        for field in _columns(model):
            yield from map(str, (field.verbose_name, field.help_text))
            yield from (str(label) for _, label in field.choices or ())


def _on_pages() -> set[type[models.Model]]:
    pages: list[Any] = list(admin.site._registry.values())
    found = {each.model for each in (*pages, *(tab for page in pages for tab in page.inlines))}
    ours = {model for config in _apps() for model in config.get_models()}
    return found & ours


def _apps() -> Iterator[AppConfig]:
    return (each for each in apps.get_app_configs() if each.module.__name__.startswith(OURS))  # type: ignore[union-attr]


def _others() -> Iterator[AppConfig]:
    """Apps of others whose tables are in the admin, and that speak no Vietnamese."""
    return (apps.get_app_config(name) for name in OTHERS)


def _columns(model: type[models.Model]) -> Iterator[Any]:
    yield from (*model._meta.local_fields, *model._meta.local_many_to_many)


def _lazy(words: Any) -> Any:
    """Translated when it is read; what is nothing, or lazy already, stays as it is."""
    return gettext_lazy(words) if words and not isinstance(words, Promise) else words
