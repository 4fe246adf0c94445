"""What every page of the admin has, whoever registers it: the site mixes it in (`Watched`).

* What is added, changed or deleted is audited with its values before and after (audit.py keeps
  them; a page that `audits_itself` says more). What is secret is told as such.
* A list can be narrowed by a date, where its rows have one.
* A list of a large table (`keyset`, of ids that rise with time) is read from one id on, and never
  counted; narrowed by a date it is read by the ids of that time (by_time.py).

Django reads this before there are models, so what needs them is imported where it is used.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.contrib import admin
from django.contrib.admin import sites
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from unfold.apps import DefaultAppConfig
from unfold.sites import UnfoldAdminSite

MOST_SELECTED = 1_000
SECRET = ("password", "secret", "sealed", "digest", "token", "salt")
BEFORE = "before"  # in an address: rows with smaller ids
Values = dict[str, Any]


# -- Before and after ----------------------------------------------------------------------------


class Watched:
    """Mixed into every ModelAdmin; a page says `keyset = True` of a large table."""

    def get_object(self, request: Any, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)  # type: ignore[misc]
        if found is not None:
            _remember(request, [found])
        return found

    def response_action(self, request: Any, queryset: Any) -> Any:
        if chosen := request.POST.getlist("_selected_action")[:MOST_SELECTED]:
            with suppress(ValueError, TypeError, ValidationError):  # no ids: Django says so
                _remember(request, list(queryset.filter(pk__in=chosen)))
        return super().response_action(request, queryset)  # type: ignore[misc]

    def log_addition(self, request: Any, obj: Any, message: Any) -> Any:
        after = {name: value for name, value in values(obj).items() if value not in ("", None)}
        with _telling({}, after):
            return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: Any, obj: Any, message: Any) -> Any:
        fresh = type(obj)._base_manager.filter(pk=obj.pk).first() or obj
        before = _remembered(request).get((obj._meta.label, str(obj.pk)), {})
        with _telling(*changed(before, values(fresh))):
            return super().log_change(request, obj, message)  # type: ignore[misc]

    def log_deletions(self, request: Any, queryset: Iterable[Any]) -> Any:
        """One by one, so that each is audited."""
        for each in queryset:
            with _telling(values(each), {}):
                super().log_deletions(request, [each])  # type: ignore[misc]

    # -- Forms -----------------------------------------------------------------------------------

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Permissions are named in the reader's language."""
        from cockpit import labels

        field = super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]
        if db_field.related_model._meta.label == "auth.Permission" and field is not None:
            field.label_from_instance = labels.choice
        return field

    # -- Lists -----------------------------------------------------------------------------------

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters = list(super().get_list_filter(request))  # type: ignore[misc]
        model: type[models.Model] = self.model  # type: ignore[attr-defined]
        if not any(_is_date(model, each) for each in filters):
            filters += _dates(model)[:1]
        return filters

    @property
    def list_after_template(self) -> str | None:
        if getattr(self, "keyset", False):
            return "cockpit/_keyset.html"
        found: str | None = super().list_after_template  # type: ignore[misc]
        return found

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        if getattr(self, "keyset", False):
            return KeysetList
        found: type[ChangeList] = super().get_changelist(request, **options)  # type: ignore[misc]
        return found


def values(row: models.Model) -> Values:
    """The columns of a row, and what it is joined with, as the audit keeps them."""
    found = {field.name: _value(field, row) for field in row._meta.concrete_fields}
    for joined in row._meta.many_to_many:
        names = getattr(row, joined.name).all()[:MOST_SELECTED]
        found[joined.name] = sorted(map(str, names)) if row.pk else []
    return found


def _value(field: Any, row: models.Model) -> Any:
    value = getattr(row, field.attname)
    if isinstance(field, models.BinaryField) or any(part in field.name for part in SECRET):
        return _Hidden(value) if value else ""
    if value is None or isinstance(value, bool | int | str | list | dict):
        return value
    return str(value)


class _Hidden(str):
    """A secret: told that it is there and whether it changed, never what it is."""

    def __new__(cls, value: object) -> "_Hidden":
        made = super().__new__(cls, "•••")
        made.value = value
        return made

    value: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hidden) and self.value == other.value

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def changed(before: Values, after: Values) -> tuple[Values, Values]:
    """What differs, on both sides; all that is known where nothing was before."""
    names = [name for name, value in after.items() if name not in before or before[name] != value]
    told = {name: "••• (another)" if _is_hidden(after[name]) else after[name] for name in names}
    return {name: before[name] for name in names if name in before}, told if before else {}


def _is_hidden(value: Any) -> bool:
    return isinstance(value, _Hidden)


def _remember(request: Any, rows: Iterable[models.Model]) -> None:
    known = _remembered(request)
    for row in rows:
        known.setdefault((row._meta.label, str(row.pk)), values(row))


def _remembered(request: Any) -> dict[tuple[str, str], Values]:
    if not hasattr(request, "_as_it_was"):
        request._as_it_was = {}
    known: dict[tuple[str, str], Values] = request._as_it_was
    return known


@contextmanager
def _telling(before: Values, after: Values) -> Iterator[None]:
    from billing.books import audit

    with audit.told(before, after):
        yield


# -- By date -------------------------------------------------------------------------------------


def _is_date(model: type[models.Model], wanted: Any) -> bool:
    name = wanted[0] if isinstance(wanted, tuple | list) else wanted
    if not isinstance(name, str):
        return False
    try:
        field: Any = None
        for part in name.split("__"):
            field = (field.related_model if field else model)._meta.get_field(part)
    except (FieldDoesNotExist, AttributeError):  # a filter of a page's own making
        return False
    plain = not isinstance(wanted, tuple | list)
    return plain and isinstance(field, models.DateField)


def _dates(model: type[models.Model]) -> list[str]:
    """The names of its moments, that of its making first."""
    found = [f.name for f in model._meta.concrete_fields if isinstance(f, models.DateField)]
    first = ("created_at", "at", "made_at", "hour", "day", "effective_at", "last_login")
    return sorted(found, key=lambda name: first.index(name) if name in first else len(first))


# -- From one id on ------------------------------------------------------------------------------


class KeysetList(ChangeList):
    """Newest first, a page from an id on; there may be any number of rows."""

    older: str = ""
    newest: str = ""

    def get_filters_params(self, params: Any = None) -> Any:
        found = super().get_filters_params(params)
        found.pop(BEFORE, None)
        return found

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        return ["-pk"]

    def get_queryset(self, request: HttpRequest, *more: Any) -> Any:
        from cockpit import by_time

        found = super().get_queryset(request, *more)
        for chosen in self.filter_specs:
            found = by_time.narrowed(found, chosen)
        return found

    def get_results(self, request: HttpRequest) -> None:
        rows, before = self.queryset, request.GET.get(BEFORE, "")
        if before:
            try:
                rows = rows.filter(pk__lt=self.model._meta.pk.to_python(before))
            except ValidationError:  # no id: the newest
                before = ""
        found = list(rows[: self.list_per_page + 1])
        self.result_list = found[: self.list_per_page]
        if len(found) > self.list_per_page:
            self.older = self.get_query_string({BEFORE: str(self.result_list[-1].pk)})
        self.newest = self.get_query_string(remove=[BEFORE]) if before else ""
        self.result_count = len(self.result_list)
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all, self.multi_page = True, False
        self.paginator = Paginator(self.result_list, self.list_per_page or 1)


# -- The site ------------------------------------------------------------------------------------


class Site(UnfoldAdminSite):  # type: ignore[misc]
    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Sorted when it is looked at: Django hands it to every page, a hundred tables named in
        the reader's language, and hardly one shows it."""
        listed = super().get_app_list
        return SimpleLazyObject(lambda: listed(request, app_label))

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        from cockpit import labels

        chosen = admin_class or admin.ModelAdmin
        if not issubclass(chosen, Watched):
            own = {"__module__": chosen.__module__, "__doc__": chosen.__doc__}
            chosen = type(chosen.__name__, (Watched, chosen), own)
        labels.name_fields(chosen.form)  # type: ignore[misc]
        super().register(model_or_iterable, chosen, **options)


class Theme(DefaultAppConfig):  # type: ignore[misc]
    """The theme's app, with our site for its own. It is ready before anybody makes a form."""

    default = False

    def ready(self) -> None:
        from cockpit import labels

        labels.translate()
        site = Site()
        admin.site = sites.site = site
