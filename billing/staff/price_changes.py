"""What an edit does to amounts of money: before and after side by side, and a second look at a
big one.

Always true of every form in which staff type money:

1. An amount that changes by more than half, or from or to nothing, is saved only if what was
   shown, before and after, is confirmed. Another amount typed then is shown again.
2. The audit has the amounts in dollars, and by how much they changed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldBooleanWidget

from billing.staff.audited import audit_deed
from hontoni import money


@dataclass(frozen=True, slots=True)
class Change:
    """An amount before and after, in nano-dollars."""

    label: str
    before: int
    after: int

    @property
    def is_large(self) -> bool:
        return abs(self.after - self.before) * 2 > abs(self.before)

    @property
    def percent(self) -> str:
        return money.change(self.before, self.after)

    def __str__(self) -> str:
        before, after = money.dollars(self.before), money.dollars(self.after)
        return f"{self.label}: ${before} → ${after} ({self.percent})"


def seal(changes: Iterable[Change]) -> str:
    """What a confirmation of these confirms."""
    return hashlib.sha256("\n".join(map(str, changes)).encode()).hexdigest()[:16]


class _Tick(UnfoldBooleanWidget):
    """A box that says what was confirmed, not only that something was."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:
        return str(data.get(name, ""))


class ConfirmedForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when it runs
    """A form in which a big change of an amount is confirmed. `amounts` says what they are."""

    confirmed = forms.CharField(
        required=False, label=_("Yes, these amounts are meant"), widget=forms.HiddenInput
    )

    @cached_property
    def changed_data(self) -> list[str]:
        """A confirmation is no change."""
        return [name for name in super().changed_data if name != "confirmed"]

    def amounts(self, cleaned: Mapping[str, Any]) -> list[Change]:
        """What changes, where something stands already."""
        model = self._meta.model
        before = model._default_manager.filter(pk=self.instance.pk).values().first() or {}
        return [
            Change(str(self.fields[name].label or name), before[name], cleaned[name])
            for name in self.fields
            if name in before
            and is_money(model, name)
            and isinstance(before[name], int)
            and isinstance(cleaned.get(name), int)
            and before[name] != cleaned[name]
        ]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        large = [each for each in self.amounts(cleaned) if each.is_large]
        if large and cleaned.get("confirmed") != seal(large):
            self._ask(large)
        return cleaned

    def _ask(self, large: list[Change]) -> None:
        field = self.fields["confirmed"]
        field.widget = _Tick(attrs={"value": seal(large)})
        self.add_error("confirmed", gettext("More than half is a lot. Before and after:"))
        for each in large:
            self.add_error("confirmed", str(each))


def is_money(model: type[models.Model], name: str) -> bool:
    """Whether staff type it in dollars: amounts are what a big integer is for on a form."""
    return isinstance(model._meta.get_field(name), models.BigIntegerField)


def spoken(model: type[models.Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the audit keeps them: amounts in dollars, numbers and switches as they are."""
    return {name: _spoken(model, name, value) for name, value in values.items()}


def _spoken(model: type[models.Model], name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, int):
        return str(value)
    return money.dollars(value) if is_money(model, name) else value


def percents(
    model: type[models.Model], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """`{"changed": {"price": "+30 %"}}`; nothing where no amount has changed."""
    changed = {
        name: money.change(before[name], value)
        for name, value in after.items()
        if isinstance(before.get(name), int) and isinstance(value, int) and is_money(model, name)
    }
    return {"changed": changed} if changed else {}


class MoneyAdmin(ModelAdmin):
    """A page on which staff type money: big changes are confirmed, every edit is audited."""

    audits_itself = True
    form = ConfirmedForm

    def subject(self, obj: Any) -> str:
        """What the audit calls it."""
        return f"{obj._meta.model_name}:{obj.pk}"

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who only looks has nothing to confirm."""
        found = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return found
        return [
            (title, {**shown, "fields": [each for each in shown["fields"] if each != "confirmed"]})
            for title, shown in found
        ]

    def save_model(
        self, request: HttpRequest, obj: Any, form: "ModelForm[Any]", change: bool
    ) -> None:
        columns = {field.name for field in obj._meta.concrete_fields}
        names = [name for name in form.changed_data if name in columns]
        rows = type(obj)._default_manager.values(*names)
        before = rows.get(pk=obj.pk) if change else {}
        super().save_model(request, obj, form, change)
        if not names:
            return
        after = rows.get(pk=obj.pk)
        audit_deed(
            request,
            "change" if change else "add",
            self.subject(obj),
            before=spoken(type(obj), before),
            after=spoken(type(obj), after) | percents(type(obj), before, after),
        )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        names = [field.name for field in obj._meta.concrete_fields]
        before = type(obj)._default_manager.filter(pk=obj.pk).values(*names).get()
        audit_deed(
            request,
            "delete",
            self.subject(obj),
            before=spoken(type(obj), before),
            after={},
        )
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for each in queryset:
            self.delete_model(request, each)
