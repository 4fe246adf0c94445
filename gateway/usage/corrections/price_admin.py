"""Staff: a price is announced in dollars, and withdrawn before it binds; never changed."""

from datetime import UTC
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action

from billing.staff.audited import email_of
from billing.staff.dollars import RATES
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.prices import schedule
from gateway.catalogue.prices.labels import LABELS, SHORT
from gateway.usage.corrections import pages
from hontoni import errors
from hontoni.drf import request_id
from hontoni.money import dollars

_LONG = [f"long_{bucket}" for bucket in BUCKETS]


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when it runs
    """A new version. Without a moment it begins as soon as every node knows it."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("model") is not None and "effective_at" not in self.errors:
            try:
                cleaned["effective_at"] = schedule.beginning(
                    cleaned["model"].pk, cleaned.get("effective_at")
                )
            except errors.BadRequest as error:
                self.add_error("effective_at", error.message)
        return cleaned


@admin.register(Price)
class PriceAdmin(ModelAdmin):
    audits_itself = True
    form = PriceForm
    formfield_overrides = RATES
    list_display = ("model", "version", "since", "state", *(f"shown_{name}" for name in BUCKETS))
    list_filter = ("model", "effective_at")
    list_select_related = ("model",)
    ordering = ("-effective_at", "-id")
    actions_detail = ("correct",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        now = timezone.now()
        begun = Price.objects.filter(model=OuterRef("model"), effective_at__lte=now)
        newest = begun.order_by("-effective_at", "-id").values("pk")[:1]
        found: QuerySet[Price] = super().get_queryset(request)
        return found.annotate(current=Subquery(newest))

    @admin.display(description="version", ordering="id")
    def version(self, price: Price) -> int:
        """As receipts and `reprice --price` call it."""
        return price.pk

    @admin.display(description="in force from", ordering="effective_at")
    def since(self, price: Price) -> str:
        return f"{price.effective_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"

    @admin.display(description="state")
    def state(self, price: Any) -> str:
        if price.effective_at > timezone.now():
            return "coming"
        return "in force" if price.pk == price.current else "past"

    def get_fields(self, request: HttpRequest, obj: Price | None = None) -> list[str]:
        if obj is not None:
            return ["model", "version", "effective_at", "state", "rates"]
        return ["model", "effective_at", *BUCKETS, "long_context_above", *_LONG]

    readonly_fields = ("version", "state", "rates")

    @admin.display(description="dollars per million tokens")
    def rates(self, price: Price) -> SafeString:
        given = [
            (name.replace("_", " "), value) for name, value in schedule.as_dict(price).items()
        ]
        return format_html_join("", "<div>{}: {}</div>", given[3:])

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        bucket = db_field.name.removeprefix("long_")
        if bucket in LABELS:
            long = ", in long contexts" if bucket != db_field.name else ""
            field.label = f"{LABELS[bucket].capitalize()}{long}"
            field.help_text = "Dollars per million tokens."
        elif db_field.name == "long_context_above":
            field.help_text = (
                "Tokens of a prompt, from which on the prices below hold. Empty: none."
            )
        elif db_field.name == "effective_at":
            field.label, field.required, field.initial = "In force from", False, None
            field.help_text = (
                f"UTC. Empty: in {schedule.LEAD.seconds} seconds, when every node knows it."
            )
        return field

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or schedule.is_coming(obj))

    def save_model(
        self, request: HttpRequest, obj: Price, form: "ModelForm[Any]", change: bool
    ) -> None:
        schedule.announce(obj, actor=email_of(request), request_id=request_id(request))
        self.message_user(request, f"{obj}: in force from then on, on every node at once.")

    def delete_model(self, request: HttpRequest, obj: Price) -> None:
        schedule.withdraw(obj.pk, actor=email_of(request), request_id=request_id(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> None:
        for price in queryset:
            try:
                self.delete_model(request, price)
            except errors.Conflict as late:
                self.message_user(request, f"{price}: {late.message}", messages.ERROR)

    def has_correct_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("gateway.correct_requests")

    @action(description="Correct requests…", url_path="correct", permissions=["correct"])
    def correct(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Price requests anew at this version: preview, then confirm."""
        price = Price.objects.select_related("model").get(pk=object_id)
        return pages.correct(self, request, price)


def _shown(bucket: str) -> Any:
    @admin.display(description=f"{SHORT[bucket]}, per million", ordering=bucket)
    def shown(self: PriceAdmin, price: Price) -> str:
        return f"${dollars(getattr(price, bucket))}"

    return shown


for _bucket in BUCKETS:
    setattr(PriceAdmin, f"shown_{_bucket}", _shown(_bucket))
