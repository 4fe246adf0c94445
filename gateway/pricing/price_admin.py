"""Staff: a price is announced in dollars, and withdrawn before it binds; never changed.

Wherever a price stands, what it earns stands beside it, and before it is saved, what it was.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action

from billing.staff.audited import email_of
from billing.staff.dollars import RATES
from billing.staff.price_changes import Change, ConfirmedForm
from gateway.catalogue import clock
from gateway.catalogue.costs import margins
from gateway.catalogue.costs.margins import Known
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.prices import changes, schedule
from gateway.catalogue.prices.labels import LABELS, SHORT
from gateway.pricing import announcements, many_pages
from gateway.usage.corrections import pages
from hontoni import errors
from hontoni.drf import request_id
from hontoni.money import dollars
from hontoni.translated_errors import to_staff

_LONG = [f"long_{bucket}" for bucket in BUCKETS]


class PriceForm(ConfirmedForm):
    """A new version. Without a moment it begins as soon as every node knows it, and a rise when
    its customers have had their notice."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("model") is None or "effective_at" in self.errors or self.errors:
            return cleaned
        try:
            price = self.price(cleaned)
            begins = schedule.beginning(price.model_id, cleaned.get("effective_at"), price)
            cleaned["effective_at"] = price.effective_at = begins
            schedule.check(price, clock.now())
        except errors.BadRequest as error:
            self.add_error(error.param, error.message)
        return cleaned

    def price(self, cleaned: Mapping[str, Any]) -> Price:
        """What is typed, as a version."""
        columns = {name: cleaned.get(name) for name in (*BUCKETS, "long_context_above", *_LONG)}
        return Price(model=cleaned["model"], reason=cleaned.get("reason", ""), **columns)

    def amounts(self, cleaned: Mapping[str, Any]) -> list[Change]:
        """Beside the version that is in force when this one begins."""
        if cleaned.get("model") is None or any(cleaned.get(name) is None for name in BUCKETS):
            return []
        price = self.price(cleaned)
        moment = cleaned.get("effective_at") or clock.now()
        return [
            Change(step.label.capitalize(), step.before, step.after)
            for step in changes.steps(schedule.in_force(price.model_id, moment), price)
            if step.before is not None
        ]


@admin.register(Price)
class PriceAdmin(ModelAdmin):
    audits_itself = True
    form = PriceForm
    formfield_overrides = RATES
    list_display = (
        *("model", "version", "since", "state", "earns"),
        *(f"shown_{name}" for name in BUCKETS),
    )
    list_filter = ("model", "effective_at")
    list_select_related = ("model",)
    ordering = ("-effective_at", "-id")
    actions_detail = ("correct",)
    actions_list = ("many", "export")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        now = timezone.now()
        begun = Price.objects.filter(model=OuterRef("model"), effective_at__lte=now)
        newest = begun.order_by("-effective_at", "-id").values("pk")[:1]
        found: QuerySet[Price] = super().get_queryset(request)
        return found.annotate(current=Subquery(newest))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With what everything on the page costs us."""
        found = super().get_changelist_instance(request)
        costs = margins.known({price.model_id for price in found.result_list})
        for price in found.result_list:
            price.margins = costs.of(price)
        return found

    @admin.display(description=_("version"), ordering="id")
    def version(self, price: Price) -> int:
        """As receipts and `reprice --price` call it."""
        return price.pk

    @admin.display(description=_("in force from"), ordering="effective_at")
    def since(self, price: Price) -> str:
        return timezone.localtime(price.effective_at).strftime("%Y-%m-%d %H:%M:%S")

    @admin.display(description=_("state"))
    def state(self, price: Any) -> str:
        if price.effective_at > timezone.now():
            return gettext("coming")
        return gettext("in force") if price.pk == price.current else gettext("past")

    @admin.display(description=_("earns least with"))
    def earns(self, price: Any) -> str:
        worst = margins.least(price.margins)
        return f"{worst.label}: {worst}" if worst else gettext("cost unknown")

    def get_fields(self, request: HttpRequest, obj: Price | None = None) -> list[str]:
        if obj is not None:
            return ["model", "version", "effective_at", "state", "reason", "rates"]
        typed = ["model", "effective_at", *BUCKETS, "long_context_above", *_LONG, "reason"]
        return [*typed, "confirmed"]

    readonly_fields = ("version", "state", "rates")

    @admin.display(description=_("dollars per million tokens"))
    def rates(self, price: Price) -> SafeString:
        """Each bucket before, after and beside its cost; and who is told."""
        earlier = Price.objects.filter(model=price.model_id, effective_at__lt=price.effective_at)
        before = earlier.order_by("-effective_at", "-id").first()
        return table(before, price, margins.known([price.model_id]))

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        bucket = db_field.name.removeprefix("long_")
        if bucket in LABELS:
            label = gettext(LABELS[bucket].capitalize())
            long = gettext("%(bucket)s, in long contexts") % {"bucket": label}
            field.label = label if bucket == db_field.name else long
            per_million = gettext("Dollars per million tokens.")
            field.help_text = per_million + _beside(request, db_field.name)
        elif db_field.name == "long_context_above":
            field.help_text = gettext(
                "Tokens of a prompt, from which on the prices below hold. Empty: none."
            )
        elif db_field.name == "effective_at":
            field.label, field.required, field.initial = gettext("In force from"), False, None
            field.help_text = gettext(
                "Empty: in %(seconds)d seconds, when every node knows it; a rise %(days)d days "
                "from now, when its customers have been told."
            ) % {"seconds": schedule.LEAD.seconds, "days": changes.notice().days}
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """`?model=` fills in what is in force."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        price = _in_force(request)
        if price is None:
            return given
        names = (*BUCKETS, "long_context_above", *_LONG)
        return {name: getattr(price, name) for name in names} | given

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (
            obj is None or (schedule.is_coming(obj) and schedule.leaves_no_rise(obj))
        )

    def save_model(
        self, request: HttpRequest, obj: Price, form: "ModelForm[Any]", change: bool
    ) -> None:
        notified = announcements.announce(obj, email_of(request), request_id(request))
        said = gettext(
            "%(price)s: in force from then on, on every node at once. "
            "%(count)d customers are told."
        )
        self.message_user(request, said % {"price": obj, "count": notified})

    def delete_model(self, request: HttpRequest, obj: Price) -> None:
        announcements.withdraw(obj.pk, actor=email_of(request), request_id=request_id(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> None:
        for price in queryset:
            try:
                self.delete_model(request, price)
            except errors.Conflict as late:
                self.message_user(request, f"{price}: {to_staff(late)}", messages.ERROR)

    def has_correct_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("gateway.correct_requests")

    @action(description=_("Correct requests…"), url_path="correct", permissions=["correct"])
    def correct(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Price requests anew at this version: preview, then confirm."""
        price = Price.objects.select_related("model").get(pk=object_id)
        return pages.correct(self, request, price)

    @action(description=_("Change many…"), url_path="many", permissions=["add"])
    def many(self, request: HttpRequest) -> HttpResponse:
        """Paste a list, look at what it changes, apply it."""
        return many_pages.change(self, request)

    @action(description=_("Export as CSV"), url_path="export", permissions=["view"])
    def export(self, request: HttpRequest) -> HttpResponse:
        """What is in force, in the columns that "Change many" takes."""
        return many_pages.export(self, request)


def table(before: Price | None, price: Price, costs: Known) -> SafeString:
    """A version beside the one before it, and beside what it costs."""
    earned = {each.bucket: each for each in costs.of(price)}
    rows = [
        {"step": step, "margin": earned.get(step.bucket)} for step in changes.steps(before, price)
    ]
    found = {"rows": rows, "price": price, "before": before}
    return render_to_string("admin/gateway/price/table.html", found)


def _in_force(request: HttpRequest) -> Price | None:
    model = request.GET.get("model")
    return schedule.in_force(model, clock.now()) if model else None


def _beside(request: HttpRequest, name: str) -> str:
    """What it is now and what it costs us, where the model is known already."""
    price = _in_force(request)
    if price is None:
        return ""
    now = getattr(price, name)
    words = gettext("Now none of its own.")
    if now is not None:
        words = gettext("Now %(amount)s.") % {"amount": f"${dollars(now)}"}
    cost = margins.known([price.model_id]).on(price.model_id, clock.now().date())
    costs = {"amount": f"${dollars(cost.rate(name))}"} if cost else {}
    return " ".join(["", words, *([gettext("Costs us %(amount)s.") % costs] if costs else [])])


def _shown(bucket: str) -> Any:
    @admin.display(
        description=format_lazy("{}, {}", _(SHORT[bucket]), _("per million")), ordering=bucket
    )
    def shown(self: PriceAdmin, price: Any) -> str:
        earned = {each.bucket: each for each in price.margins}.get(bucket)
        return f"${dollars(getattr(price, bucket))}" + (f" {earned}" if earned else "")

    return shown


for _bucket in BUCKETS:
    setattr(PriceAdmin, f"shown_{_bucket}", _shown(_bucket))
