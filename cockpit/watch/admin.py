"""Staff set the rules of the watch, and deal with what was found."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.models import User
from billing.staff.audited import ReadOnlyAdmin, audit_deed, email_of
from billing.staff.deeds import ReasonForm
from billing.staff.price_changes import ConfirmedForm, MoneyAdmin
from cockpit.reports import rows_of
from cockpit.watch import findings, rings, rules, sentences, telling
from cockpit.watch.models import Finding, Kind, Rule
from hontoni.drf import request_id

State = Finding.State
SHOWN = 200  # accounts on a page


class RuleForm(ConfirmedForm):
    """What the two numbers mean is the kind's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        meaning = rules.MEANINGS[Kind(self.instance.kind)]
        for name, text in (("threshold", meaning.threshold), ("least", meaning.least)):
            if name in self.fields and text:
                shown = gettext(text)
                self.fields[name].help_text = f"{shown[0].upper()}{shown[1:]}."
        if not meaning.mails and "mail" in self.fields:
            self.fields["mail"].help_text = _("The daily round mails these in any case.")


def _rule(quoted: str) -> Rule:
    """By its number in an address of the admin."""
    return get_object_or_404(Rule, pk=unquote(quoted))


@admin.register(Rule)
class RuleAdmin(MoneyAdmin):
    form = RuleForm
    list_display = ["name", "active", "threshold", "means", "mail", "webhook", "looked_at"]
    fields = ["name", "active", "threshold", "least", "mail", "webhook", "secret", "looked_at"]
    readonly_fields = ["name", "secret", "looked_at"]
    actions_detail = ["look_now", "test", "new_secret"]

    @admin.display(description=_("rule"), ordering="kind")
    def name(self, rule: Rule) -> str:
        return str(rule).capitalize()

    @admin.display(description=_("threshold means"))
    def means(self, rule: Rule) -> str:
        return gettext(rules.MEANINGS[Kind(rule.kind)].threshold)

    @admin.display(description=_("secret that signs the webhook"))
    def secret(self, rule: Rule) -> str:
        return rules.secret(rule) if rule.webhook else gettext("There is no webhook.")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        may = self.has_change_permission(request, obj)
        has_least = obj is None or rules.MEANINGS[Kind(obj.kind)].least
        hidden = {"least": not has_least, "secret": not may}
        return [name for name in self.fields if not hidden.get(name)]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_set_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("cockpit.change_rule")

    @action(description=_("Look now"), url_path="look", permissions=["set"])
    def look_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method != "POST":
            return sure(self, request, gettext("Look now"))
        rule = _rule(object_id)
        kind, before = rule.pk, {"looked_at": str(rule.looked_at or "")}
        news = findings.look_at(kind, timezone.now())
        audit_deed(request, "look", f"rule:{kind}", before=before, after={"found": news})
        self.message_user(request, gettext("Looked: %(count)d new.") % {"count": news})
        return redirect(rows_of("cockpit_finding", kind__exact=kind))

    @action(description=_("Send a test to the webhook"), url_path="test", permissions=["set"])
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method != "POST":
            return sure(self, request, gettext("Send a test to the webhook"))
        rule, now = _rule(object_id), timezone.now()
        name, about = f"test_{int(now.timestamp())}", {"type": "watch.test", "data": {}}
        try:
            telling.post(rule, name, about, now)
        except telling.NOT_TAKEN as error:
            self.message_user(
                request,
                gettext("Not taken: %(error)s") % {"error": error.in_words()},
                messages.ERROR,
            )
        else:
            self.message_user(request, gettext("Taken."), messages.SUCCESS)
        return redirect("admin:cockpit_rule_change", object_id)

    @action(description=_("Make a new secret"), url_path="secret", permissions=["set"])
    def new_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method != "POST":
            return sure(self, request, gettext("Make a new secret"))
        rule = _rule(object_id)
        before = {"secret_version": rule.secret_version}
        rules.renew_secret(rule)
        after = {"secret_version": rule.secret_version}
        audit_deed(request, "new secret", f"rule:{rule.pk}", before=before, after=after)
        self.message_user(
            request, gettext("The old secret signs nothing any more."), messages.WARNING
        )
        return redirect("admin:cockpit_rule_change", object_id)


class DecisionForm(forms.Form):
    note = forms.CharField(
        label=_("Note"),
        max_length=500,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )


class FreezeForm(ReasonForm):
    """Which of the accounts, and why."""

    accounts = forms.TypedMultipleChoiceField(
        label=_("Accounts"), coerce=int, widget=forms.CheckboxSelectMultiple
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The customers see it."),
        initial=_("Several accounts look like one. Please write to us."),
    )
    field_order = ["accounts", "reason"]

    def __init__(self, data: Any, *, sure: list[int], linked: dict[int, str]) -> None:
        super().__init__(data)
        people = rings.members([*sure, *linked]).order_by("email")
        accounts: Any = self.fields["accounts"]
        accounts.choices = [
            (user.pk, " · ".join(filter(None, [user.email, linked.get(user.pk), _state(user)])))
            for user in people[: SHOWN * 5]
        ]
        accounts.initial = [user.pk for user in people if user.pk in set(sure)]


def _state(user: Any) -> str:
    return gettext("frozen") if user.frozen_at else ""


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    list_display = ["shown_state", "sentence", "kind", "first_at", "last_at", "by"]
    list_display_links = ["sentence"]
    list_filter = ["state", "kind", "first_at"]
    search_fields = ["text", "subject"]
    show_full_result_count = False
    fields = [
        *("state", "kind", "sentence", "first_at", "last_at"),
        *("accounts", "rows", "by", "note", "frozen_reason", "told", "problem"),
    ]
    readonly_fields = ["sentence", "accounts", "rows"]
    actions = ["acknowledge_all", "close_all"]
    actions_detail = ["acknowledge", "close", "reopen", "freeze", "unfreeze"]

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """What is open comes first."""
        ranks = [When(state=state, then=Value(rank)) for rank, state in enumerate(State)]
        return [Case(*ranks, output_field=IntegerField()).asc(), "-last_at", "-id"]

    @display(
        description=_("state"),
        ordering="state",
        label={State.OPEN: "warning", State.ACKNOWLEDGED: "info", State.CLOSED: "success"},
    )
    def shown_state(self, found: Finding) -> tuple[str, str]:
        return found.state, found.state

    @admin.display(description=_("what was found"), ordering="text")
    def sentence(self, found: Finding) -> str:
        return sentences.translated(found.kind, found.text)

    @admin.display(description=_("accounts"))
    def accounts(self, found: Finding) -> Any:
        people = User.objects.filter(pk__in=found.users[:SHOWN]).order_by("email")
        links = ((rows_of("billing_customer", id__exact=u.pk), u.email, _state(u)) for u in people)
        listed = format_html_join(", ", '<a class="underline" href="{}">{}</a> {}', links)
        more = len(found.users) - SHOWN
        return format_html(
            "{} {}", listed, gettext("and %(count)d more") % {"count": more} if more > 0 else ""
        )

    @admin.display(description=_("the rows"))
    def rows(self, found: Finding) -> Any:
        if not found.link:
            return ""
        return format_html(
            '<a class="underline" href="{}">{}</a>', found.link, gettext("Open them")
        )

    # -- What staff may do -----------------------------------------------------------------------

    def _may(self, request: HttpRequest, object_id: Any, *states: str) -> bool:
        if not request.user.has_perm("cockpit.decide_finding"):
            return False
        rows = Finding.objects.filter(pk=object_id, state__in=states)
        return object_id is None or rows.exists()

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("cockpit.decide_finding")

    def has_acknowledge_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, State.OPEN)

    def has_close_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, State.OPEN, State.ACKNOWLEDGED)

    def has_reopen_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, State.CLOSED, State.ACKNOWLEDGED)

    def has_freeze_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        may = request.user.has_perm("billing.freeze_customer")
        return may and self._is(object_id, lambda found: bool(found.users))

    def has_unfreeze_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        may = request.user.has_perm("billing.freeze_customer")
        return may and self._is(object_id, lambda found: bool(found.frozen))

    def _is(self, object_id: Any, true: Any) -> bool:
        found = Finding.objects.filter(pk=object_id).first() if object_id else None
        return object_id is None or (found is not None and true(found))

    @action(description=_("Acknowledge"), url_path="acknowledge", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(request, object_id, gettext("Acknowledge"), State.ACKNOWLEDGED)

    @action(description=_("Close"), url_path="close", permissions=["close"])
    def close(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(request, object_id, gettext("Close"), State.CLOSED)

    @action(description=_("Reopen"), url_path="reopen", permissions=["reopen"])
    def reopen(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(request, object_id, gettext("Reopen"), State.OPEN)

    def _ask(self, request: HttpRequest, object_id: str, title: str, state: State) -> HttpResponse:
        found = self._found(request, object_id)
        form = DecisionForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            _decide(request, found, state, form.cleaned_data["note"])
            self.message_user(request, gettext("Done."), messages.SUCCESS)
            return redirect("admin:cockpit_finding_change", found.pk)
        return self._page(request, form, f"{title}: {found}", title)

    @action(description=_("Freeze these accounts"), url_path="freeze", permissions=["freeze"])
    def freeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """All of them at once, after a look at who they are."""
        found = self._found(request, object_id)
        return freeze_ring(self, request, found)

    @action(description=_("Unfreeze them again"), url_path="unfreeze", permissions=["unfreeze"])
    def unfreeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found, form = self._found(request, object_id), ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            who = {"actor": email_of(request), "request_id": request_id(request)}
            let_go = rings.unfreeze(found, reason=form.cleaned_data["reason"], **who)
            self.message_user(
                request,
                gettext("%(count)d accounts unfrozen.") % {"count": len(let_go)},
                messages.SUCCESS,
            )
            return redirect("admin:cockpit_finding_change", found.pk)
        title = gettext("Unfreeze %(count)d accounts") % {"count": len(found.frozen)}
        return self._page(request, form, title, title)

    def _found(self, request: HttpRequest, object_id: str) -> Finding:
        found = self.get_object(request, object_id)
        if not isinstance(found, Finding) or not self.has_view_permission(request, found):
            raise PermissionDenied
        return found

    def _page(
        self, request: HttpRequest, form: forms.Form, title: str, button: str
    ) -> HttpResponse:
        return ask(self, request, form, title, button)

    @admin.action(description=_("Acknowledge"), permissions=["decide"])
    def acknowledge_all(self, request: HttpRequest, queryset: QuerySet[Finding]) -> None:
        self._all(request, queryset.filter(state=State.OPEN), State.ACKNOWLEDGED)

    @admin.action(description=_("Close"), permissions=["decide"])
    def close_all(self, request: HttpRequest, queryset: QuerySet[Finding]) -> None:
        self._all(request, queryset.exclude(state=State.CLOSED), State.CLOSED)

    def _all(self, request: HttpRequest, queryset: QuerySet[Finding], state: State) -> None:
        done = sum(_decide(request, found, state, "") for found in queryset)
        self.message_user(request, gettext("%(count)d done.") % {"count": done})


def _decide(request: HttpRequest, found: Finding, state: State, note: str) -> bool:
    changed = findings.decide(found, state, by=email_of(request), note=note)
    if changed:
        subject, before = f"finding:{found.pk}", {"state": found.state}
        audit_deed(
            request, str(state), subject, before=before, after={"state": state, "note": note}
        )
    return changed


def freeze_ring(page: ModelAdmin, request: HttpRequest, found: Finding) -> HttpResponse:
    """Ask which of its accounts, and of those linked to them; then freeze them in one go."""
    data = request.POST if request.method == "POST" else None
    form = FreezeForm(data, sure=found.users, linked=rings.linked(found.users))
    if data is not None and form.is_valid():
        frozen = rings.freeze(
            found,
            form.cleaned_data["accounts"],
            reason=form.cleaned_data["reason"],
            actor=email_of(request),
            request_id=request_id(request),
        )
        page.message_user(
            request,
            gettext("%(count)d accounts frozen.") % {"count": len(frozen)},
            messages.SUCCESS,
        )
        return redirect("admin:cockpit_finding_change", found.pk)
    title = gettext("Freeze these accounts together")
    return ask(page, request, form, title, gettext("Freeze them"))


def sure(page: ModelAdmin, request: HttpRequest, deed: str) -> HttpResponse:
    """A deed that asks for nothing but a button: what a link opens changes nothing."""
    return ask(page, request, forms.Form(), deed, deed)


def ask(
    page: ModelAdmin, request: HttpRequest, form: forms.Form, title: str, button: str
) -> HttpResponse:
    """The form of a deed, in the admin's frame."""
    shown = {"form": form, "title": title, "button": button}
    context = {**page.admin_site.each_context(request), "opts": page.model._meta, **shown}
    return render(request, "admin/billing/customer/ask.html", context)
