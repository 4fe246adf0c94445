"""Staff write announcements, look at them in both languages, try them, and let them go."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from accounts.models import User
from billing.mails import announcements, letters
from billing.mails.models import Announcement, Told
from billing.staff.audited import audit_deed, email_of
from billing.staff.price_changes import ConfirmedForm, MoneyAdmin
from cockpit import announcing
from gateway.catalogue.models import Model
from hontoni.pages import at

Audience = Announcement.Audience


class AnnouncementForm(ConfirmedForm):
    """What belongs together is asked together."""

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean()
        if not given.get("banner") and not given.get("mail"):
            self.add_error("banner", gettext("Choose a banner, a mail, or both."))
        starts, ends = given.get("starts_at"), given.get("ends_at")
        if starts and ends and ends <= starts:
            self.add_error("ends_at", gettext("It ends after it starts."))
        audience = given.get("audience")
        if audience == Audience.PLAN and not given.get("plans"):
            self.add_error("plans", gettext("Choose the plans it is for."))
        if audience == Audience.MODEL and not _is_model(given.get("model", "")):
            self.add_error("model", gettext("There is no such model."))
        return given


def _is_model(name: str) -> bool:
    return Model.objects.filter(pk=name).exists()


@admin.register(Announcement)
class AnnouncementAdmin(MoneyAdmin):
    form = AnnouncementForm
    list_display = ["title", "state", "kind", "audience", "banner", "mail", "starts_at", "reached"]
    list_filter = ["kind", "audience", "starts_at"]
    search_fields = ["title", "title_vi", "body"]
    fields = [
        *("status", "kind", ("title", "title_vi"), ("body", "body_vi"), "audience", "plans"),
        *("model", ("banner", "mail"), ("starts_at", "ends_at"), "reached", "by"),
    ]
    readonly_fields = ["status", "reached", "by"]
    actions_detail = ["preview", "test", "release", "withdraw"]

    @display(
        description=_("state"),
        label={
            "draft": "info",
            "scheduled": "warning",
            "running": "success",
            "withdrawn": "danger",
        },
    )
    def state(self, announcement: Announcement) -> tuple[str, str]:
        return announcement.status, gettext(announcement.status)

    @admin.display(description=_("state"))
    def status(self, announcement: Announcement) -> str:
        return gettext(announcement.status) if announcement.pk else gettext("new")

    @admin.display(description=_("reached"))
    def reached(self, announcement: Announcement) -> str:
        if announcement.pk is None:
            return ""
        rows = Told.objects.filter(announcement=announcement)
        dismissed = rows.exclude(dismissed_at=None).count()
        mailed = rows.filter(mailed=True).count()
        said = gettext("%(count)d, of them mailed %(mailed)d, dismissed %(dismissed)d")
        return said % {"count": rows.count(), "mailed": mailed, "dismissed": dismissed}

    # -- What may be done ------------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was let go is not changed any more: withdraw it first."""
        may: bool = super().has_change_permission(request, obj)
        return may and (obj is None or obj.status == "draft")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may: bool = super().has_delete_permission(request, obj)
        return may and obj is not None and obj.status == "draft"

    def has_try_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.view_announcement")

    def has_release_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, "draft")

    def has_withdraw_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, "scheduled", "running")

    def _may(self, request: HttpRequest, object_id: Any, *states: str) -> bool:
        if not request.user.has_perm("billing.release_announcement"):
            return False
        found = Announcement.objects.filter(pk=object_id).first() if object_id else None
        return object_id is None or (found is not None and found.status in states)

    @action(description=_("Preview"), url_path="preview", permissions=["try"])
    def preview(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._show(request, self._found(request, object_id), gettext("Preview"), "")

    @action(description=_("Send me a test"), url_path="test", permissions=["try"])
    def test(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """To who asks, in both languages."""
        found = self._found(request, object_id)
        if request.method != "POST":
            return self._show(request, found, gettext("Send me a test"), gettext("Send me a test"))
        for language in ("en", "vi"):
            _mail(found, request.user, language).send()
        self.message_user(
            request,
            gettext("Two mails sent to %(email)s.") % {"email": email_of(request)},
            messages.SUCCESS,
        )
        return redirect("admin:billing_announcement_change", object_id)

    @action(description=_("Release"), url_path="release", permissions=["release"])
    def release(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """After a look at what it says, and to how many."""
        found = self._found(request, object_id)
        if request.method != "POST":
            return self._show(request, found, gettext("Release"), gettext("Release it"))
        if announcing.release(found, email_of(request), timezone.now()):
            _audit(request, found, "release")
            self.message_user(
                request,
                gettext("It begins at %(at)s.") % {"at": at(found.starts_at)},
            )
        return redirect("admin:billing_announcement_change", object_id)

    @action(description=_("Withdraw"), url_path="withdraw", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, object_id: int) -> HttpResponse:
        found = self._found(request, object_id)
        if request.method != "POST":
            return self._show(request, found, gettext("Withdraw"), gettext("Withdraw it"))
        if announcing.withdraw(found, timezone.now()):
            _audit(request, found, "withdraw")
            self.message_user(request, gettext("Withdrawn."))
        return redirect("admin:billing_announcement_change", object_id)

    def _found(self, request: HttpRequest, object_id: int) -> Announcement:
        found = self.get_object(request, str(object_id))
        if not isinstance(found, Announcement) or not self.has_view_permission(request, found):
            raise PermissionDenied
        return found

    def _show(
        self, request: HttpRequest, found: Announcement, title: str, button: str
    ) -> HttpResponse:
        """It as customers see it, in both languages, and how many they are."""
        mails = [_mail(found, request.user, language) for language in ("en", "vi")]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "title": f"{title}: {found}",
            "button": button,
            "announcement": found,
            "concerned": announcing.audience(found, timezone.now()).count(),
            "shown": [(mail.subject, mail.body) for mail in mails],
            "form": forms.Form(),
        }
        return render(request, "cockpit/announcement.html", context)


def _mail(found: Announcement, reader: Any, language: str) -> Any:
    """Its mail to a member of staff, as if they were a customer of that language."""
    assert isinstance(reader, User)
    as_reader = User(pk=reader.pk, email=reader.email, name=reader.name, language=language)
    kind = "news" if found.kind == Announcement.Kind.NEWS else "announcement"
    with translation.override(language):
        return letters.compose(
            kind,
            announcements.words(found, as_reader),
            to=reader.email,
            name=reader.name,
            language=language,
            message_id=f"<test-{found.pk}-{language}-{timezone.now().timestamp()}@hontoni>",
        )


def _audit(request: HttpRequest, found: Announcement, verb: str) -> None:
    before = {"state": found.status, "title": found.title}
    found.refresh_from_db()
    after = {"state": found.status}
    audit_deed(request, verb, f"announcement:{found.pk}", before=before, after=after)
