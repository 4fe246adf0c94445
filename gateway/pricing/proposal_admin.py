"""Staff: what public sources propose, to accept or to decline."""

from typing import Any

import orjson
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from billing.staff.audited import ReadOnlyAdmin, email_of
from gateway.catalogue import bucket_labels
from gateway.catalogue.costs import margins
from gateway.pricing import accepting, proposals, version_admin
from gateway.pricing.models import Kind, Proposal, State
from hontoni import errors
from hontoni.drf import request_id
from hontoni.translated_errors import to_staff


class AcceptForm(forms.Form):
    source = forms.ChoiceField(
        label=_t("Source"), widget=UnfoldAdminSelectWidget, help_text=_t("Whose price is right.")
    )
    reason = forms.CharField(
        label=_t("Reason"),
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_t("Why customers keep prices of their own that fall below this cost."),
    )

    def __init__(self, *args: Any, choices: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["source"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, name) for name in choices]
        if not choices:
            del self.fields["source"]


class SyncForm(forms.Form):
    offline = forms.BooleanField(
        label=_t("The copies that came with the product"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_t("Off: the sources themselves, from this machine."),
    )
    confirmed = forms.CharField(widget=forms.HiddenInput, initial="yes")


@admin.register(Proposal)
class ProposalAdmin(ReadOnlyAdmin):
    audits_itself = True
    list_display = ["what", "kind", "name", "vendor", "says", "state", "created_at", "seen_at"]
    list_filter = ["state", "kind", "vendor"]
    search_fields = ["name", "model__id"]
    list_select_related = ["model"]
    fields = [
        *("kind", "vendor", "model", "name", "state", "created_at", "seen_at"),
        *("decided_at", "decided_by", "would_write", "says", "sources"),
    ]
    readonly_fields = ["would_write", "says", "sources"]
    actions = ["decline"]
    actions_list = ["sync"]
    actions_detail = ["accept"]

    @admin.display(description=_t("proposal"), ordering="name")
    def what(self, row: Proposal) -> str:
        return row.model_id or row.name

    @admin.display(description=_t("says"))
    def says(self, row: Proposal) -> str:
        return summary(row)

    @admin.display(description=_t("sources"))
    def sources(self, row: Proposal) -> SafeString:
        given = orjson.dumps(row.listings, option=orjson.OPT_INDENT_2).decode()
        return format_html("<pre>{}</pre>", given)

    @admin.display(description=_t("accepting it would announce"))
    def would_write(self, row: Proposal) -> SafeString | str:
        choices = list(row.facts.get("choices", {})) or [""]
        tables = [(source, table(row, source)) for source in choices]
        return format_html("".join("<h4>{}</h4>{}" for _ in tables), *sum(tables, ()))

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("gateway.decide_proposal")

    @action(description=_t("Read the sources…"), url_path="sync", permissions=["decide"])
    def sync(self, request: HttpRequest) -> HttpResponse:
        """Ask which; read them; show what is proposed."""
        form = SyncForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "opts": self.model._meta,
                "title": gettext("Read what public sources say"),
                "form": form,
                "button": gettext("Read"),
            }
            return render(request, "admin/gateway/proposal/accept.html", context)
        found = proposals.sync(offline=form.cleaned_data["offline"])
        level = messages.WARNING if found.problems else messages.SUCCESS
        self.message_user(request, str(found), level)
        return redirect(reverse("admin:gateway_proposal_changelist") + "?state__exact=open")

    @action(description=_t("Accept…"), url_path="accept", permissions=["decide"])
    def accept(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Show what it would write; when that is confirmed, write it."""
        row = get_object_or_404(Proposal.objects.select_related("model"), pk=object_id)
        form = AcceptForm(request.POST or None, choices=list(row.facts.get("choices", {})))
        if request.method == "POST" and form.is_valid():
            try:
                return self._accepted(request, row, **form.cleaned_data)
            except errors.ApiError as error:
                form.add_error(None, to_staff(error))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "title": gettext("Accept: %(what)s") % {"what": row},
            "form": form,
            "button": gettext("Accept"),
            "says": summary(row),
            "would_write": self.would_write(row),
        }
        return render(request, "admin/gateway/proposal/accept.html", context)

    def _accepted(self, request: HttpRequest, row: Proposal, **typed: str) -> HttpResponse:
        done = accepting.accept(
            row.pk, actor=email_of(request), request_id=request_id(request), **typed
        )
        self.message_user(request, f"{row}: {done}.", messages.SUCCESS)
        return redirect(reverse("admin:gateway_proposal_changelist") + "?state__exact=open")

    @admin.action(description=_t("Decline"), permissions=["decide"])
    def decline(self, request: HttpRequest, queryset: QuerySet[Proposal]) -> None:
        for row in queryset.filter(state=State.OPEN):
            accepting.decline(row.pk, actor=email_of(request), request_id=request_id(request))


def table(row: Proposal, source: str) -> SafeString | str:
    """The price before and after, beside the cost that is accepted."""
    prices = accepting.preview(row, source)
    if prices is None:
        return gettext("no price")
    before, after = prices
    if row.kind == Kind.BELOW_COST:
        return version_admin.table(before, after, margins.earned(after))
    cost = accepting.cost_of(after.model, accepting.chosen(row, source))
    return version_admin.table(before, after, margins.margins(after, cost))


def summary(row: Proposal) -> str:
    """In one line."""
    facts = row.facts
    if row.kind == Kind.END:
        never = gettext("never")
        return gettext("ends %(there)s, here %(here)s") % {
            **{"there": facts["ends"], "here": facts["present"] or never}
        }
    if row.kind == Kind.BELOW_COST:
        words = gettext("%(bucket)s: $%(ours)s for $%(theirs)s")
        return "; ".join(
            words % {"bucket": bucket_labels.label(name), "ours": ours, "theirs": theirs}
            for name, (ours, theirs) in facts["lost"].items()
        )
    if row.kind == Kind.CAPABILITY:
        return "; ".join(f"{name}: {ours} → {theirs}" for name, (ours, theirs) in facts.items())
    choices = facts.get("choices") or {"": facts.get("cost", {})}
    present = facts.get("present") or {}
    costs = [_cost(source, cost) for source, cost in choices.items()]
    return "; ".join([*costs, *([_cost(gettext("here"), present)] if present else [])])


def _cost(source: str, cost: dict[str, Any]) -> str:
    words = gettext("$%(input)s in, $%(output)s out, $%(cache_read)s cached") % cost
    return f"{source} {words}".strip()
