"""Staff: what the vendors charge, the rules of mark-up, and the prices of single customers."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t
from unfold.admin import ModelAdmin

from billing.staff.dollars import RATES
from billing.staff.price_changes import Change, ConfirmedForm, MoneyAdmin
from gateway.catalogue import clock
from gateway.catalogue.bucket_labels import LABELS, field_label
from gateway.catalogue.costs import margins
from gateway.catalogue.costs.models import FeatureCost, MarkUp, VendorPrice
from gateway.catalogue.features.models import WHOLE
from gateway.catalogue.models import BUCKETS
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.catalogue.prices import losses
from gateway.catalogue.prices.losses import Loss
from gateway.pricing import announcements, own_prices
from hontoni import errors
from hontoni.money import DOLLAR, dollars
from hontoni.translated_errors import to_staff


class RateAdmin(MoneyAdmin):
    """Of what is dollars per million tokens."""

    formfield_overrides = {**ModelAdmin.formfield_overrides, **RATES}

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        bucket = db_field.name.removeprefix("long_")
        if bucket in LABELS:
            field.label = field_label(db_field.name)
            field.help_text = gettext("Dollars per million tokens.")
            if bucket == "reasoning" and not field.required:
                field.help_text += " " + gettext("Empty: as output.")
        return field


class CostForm(ConfirmedForm):
    """Every price is held against it: a slip is looked at twice, and what it newly makes a loss
    needs a reason, as a price below cost does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "source" in self.fields:
            self.fields["source"].required = True

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors and not cleaned.get("reason") and (lost := self.lost(cleaned)):
            words = losses.words(lost)
            said = gettext("Sold below cost from then on: %(words)s. Say why.")
            self.add_error("reason", said % {"words": words})
        return cleaned

    def row(self, cleaned: Mapping[str, Any]) -> Any:
        """What is typed."""
        columns = {field.name for field in self._meta.model._meta.concrete_fields}
        return self._meta.model(**{n: value for n, value in cleaned.items() if n in columns})

    def lost(self, cleaned: Mapping[str, Any]) -> list[Loss]:
        return losses.by_cost(self.row(cleaned))

    def amounts(self, cleaned: Mapping[str, Any]) -> list[Change]:
        """Beside the version before it."""
        model, since = cleaned.get("model"), cleaned.get("since")
        before = model and since and margins.known([model.pk]).on(model.pk, since)
        return [
            Change(str(self.fields[name].label), before.rate(name), cleaned[name])
            for name in (*BUCKETS, *margins.LONG)
            if before and cleaned.get(name) is not None
        ]


class CostAdmin(RateAdmin):
    """Versions: what was true on a day stays; what is true from another day on, and what was a
    slip, is a new row."""

    form = CostForm

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(VendorPrice)
class VendorPriceAdmin(CostAdmin):
    list_display = [
        *("model", "since", "input_price", "cached_price", "output_price", "source", "noted_at"),
        "reason",
    ]
    list_filter = ["model", "since"]
    search_fields = ["model__id", "source"]

    @admin.display(description=_t("input"), ordering="input")
    def input_price(self, price: VendorPrice) -> str:
        return f"${dollars(price.input)}"

    @admin.display(description=_t("cached"), ordering="cache_read")
    def cached_price(self, price: VendorPrice) -> str:
        return f"${dollars(price.cache_read)}"

    @admin.display(description=_t("output"), ordering="output")
    def output_price(self, price: VendorPrice) -> str:
        return f"${dollars(price.output)}"


class FeatureCostForm(CostForm):
    def lost(self, cleaned: Mapping[str, Any]) -> list[Loss]:
        return losses.by_feature_cost(self.row(cleaned))

    def amounts(self, cleaned: Mapping[str, Any]) -> list[Change]:
        """A call, and what a dollar of tokens comes to."""
        feature, since = cleaned.get("feature"), cleaned.get("since")
        if feature is None or since is None or self.errors:
            return []
        before = margins.feature_costs(since, [feature.pk]).get(feature.pk)
        if before is None:
            return []
        after = self.row(cleaned)
        times = (DOLLAR * each.factor // WHOLE for each in (before, after))
        return [
            Change(gettext("A call"), before.amount, after.amount),
            Change(gettext("A dollar of tokens"), *times),
        ]


@admin.register(FeatureCost)
class FeatureCostAdmin(CostAdmin):
    form = FeatureCostForm
    list_display = ["feature", "since", "costs", "factor", "source", "noted_at", "reason"]
    list_filter = ["since"]
    list_select_related = ["feature"]
    autocomplete_fields = ["feature"]

    @admin.display(description=_t("a call"), ordering="amount")
    def costs(self, row: FeatureCost) -> str:
        return f"${dollars(row.amount)}"


@admin.register(MarkUp)
class MarkUpAdmin(RateAdmin):
    list_display = ["vendor", "times", "rounded"]

    @admin.display(description=_t("cost ×"), ordering="factor")
    def times(self, row: MarkUp) -> str:
        return f"{row.factor / WHOLE:g}"

    @admin.display(description=_t("rounded up to"), ordering="step")
    def rounded(self, row: MarkUp) -> str:
        return gettext("%s per million tokens") % f"${dollars(row.step)}"


class OwnForm(ConfirmedForm):
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors and self.instance.pk:
            self._check_end(cleaned)
        elif not self.errors:
            row = self.row(cleaned)
            try:
                row.clean()
                own_prices.check(row, clock.now())
            except errors.BadRequest as error:
                self.add_error(error.param, to_staff(error))
            except forms.ValidationError as error:
                self.add_error(None, error)
        return cleaned

    def row(self, cleaned: Mapping[str, Any]) -> CustomerPrice:
        """What is typed."""
        return CustomerPrice(**{name: cleaned[name] for name in cleaned if name != "confirmed"})

    def amounts(self, cleaned: Mapping[str, Any]) -> list[Change]:
        """Beside what its customer pays without it."""
        if self.instance.pk or self.errors:
            return []
        row = self.row(cleaned)
        try:
            row.clean()
        except forms.ValidationError:
            return []  # `clean` says so
        now = clock.now()
        return [Change(name.capitalize(), *pair) for name, *pair in own_prices.amounts(row, now)]

    def _check_end(self, cleaned: dict[str, Any]) -> None:
        """Of one there is only the end changes, and why."""
        if "until_at" not in self.changed_data:
            return
        try:
            cleaned["until_at"] = own_prices.check_end(
                self.instance,
                cleaned["until_at"],
                clock.now(),
                explained=bool(cleaned.get("reason")) and "reason" in self.changed_data,
            )
        except errors.BadRequest as error:
            self.add_error(error.param, to_staff(error))


@admin.register(CustomerPrice)
class CustomerPriceAdmin(RateAdmin):
    """What was agreed is never changed, only ended; its customer is told by mail."""

    form = OwnForm
    list_display = ["user", "model", "agreed", "from_at", "until_at", "earns", "reason"]
    list_filter = ["model", "from_at", "until_at"]
    list_select_related = ["user", "model"]
    search_fields = ["user__email", "model__id", "reason"]
    autocomplete_fields = ["user"]

    @admin.display(description=_t("agreed"))
    def agreed(self, row: CustomerPrice) -> str:
        if row.multiplier:
            return gettext("%(percent)s %% of the list") % {"percent": f"{row.multiplier / 100:g}"}
        rates = {"input": f"${dollars(row.input or 0)}", "output": f"${dollars(row.output or 0)}"}
        return gettext("%(input)s in, %(output)s out") % rates

    @admin.display(description=_t("earns, per million"))
    def earns(self, row: CustomerPrice) -> str:
        return own_prices.earns(row, clock.now())

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fixed = ["user", "model", "multiplier", *BUCKETS, "from_at", "earns"]
        return fixed if obj is not None else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or own_prices.is_coming(obj, clock.now()))

    def delete_model(self, request: HttpRequest, obj: CustomerPrice) -> None:
        announcements.own_withdrawn(obj)
        super().delete_model(request, obj)

    def save_model(
        self, request: HttpRequest, obj: CustomerPrice, form: "ModelForm[Any]", change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        announcements.own(obj)
        announcements.own_ends(clock.now())
        self.message_user(
            request, gettext("%(price)s: its customer is told by mail.") % {"price": obj}
        )
