"""Staff's view of people and keys. Nothing here shows or makes a key."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.mfa import admin as mfa  # noqa: F401  registers
from allauth.mfa.models import Authenticator
from allauth.socialaccount import admin as socialaccount  # noqa: F401  registers
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions import admin as usersessions  # noqa: F401  registers
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.keys import api_keys, personal_tokens, stopping
from accounts.legal import texts
from accounts.models import (
    ApiKey,
    Consent,
    Invitation,
    LegalText,
    Membership,
    PersonalToken,
    TeamEvent,
    User,
)
from accounts.people import terms
from accounts.sign_in import proof
from accounts.teams import events
from hontoni.money import dollars
from hontoni.read_only import ReadOnlyAdmin

NOTICE = timedelta(days=30)  # what the shipped terms promise, and staff may change


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["email", "name", "is_active", "is_staff", "created_at", "last_login"]
    list_filter = ["is_active", "is_staff", "is_team"]
    search_fields = ["email", "name", "memberships__person__email"]
    ordering = ["-id"]
    readonly_fields = [
        "created_at",
        "frozen_at",
        "frozen_reason",
        "key_cap",
        "last_login",
        "members",
        "teams",
        "terms_version",
    ]
    fieldsets = [
        (None, {"fields": ["email", "name", "password"]}),
        (_("Teams"), {"fields": ["teams", "members"]}),
        (_("Keys"), {"fields": ["key_cap", "terms_version", "frozen_at", "frozen_reason"]}),
        (
            _("Permissions"),
            {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]},
        ),
        (_("Dates"), {"fields": ["created_at", "last_login"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["email", "name", "usable_password", "password1", "password2"]})
    ]

    @admin.display(description=_("Members"))
    def members(self, user: User) -> str:
        """Of a team: who is in it."""
        found = Membership.objects.filter(account=user.pk, ended_at=None).select_related("person")
        return ", ".join(f"{each.person.email} ({each.role})" for each in found) or "-"

    @admin.display(description=_("In teams"))
    def teams(self, user: User) -> str:
        found = Membership.objects.filter(person=user.pk, ended_at=None).select_related("account")
        return ", ".join(f"{each.account} ({each.role})" for each in found) or "-"

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Who may change people must not make himself more than he is."""
        privileges = ["is_staff", "is_superuser", "groups", "user_permissions"]
        return [*self.readonly_fields, *([] if request.user.is_superuser else privileges)]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Staff are changed, and given passwords, by superusers only."""
        if obj is not None and obj.is_staff and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def save_model(
        self, request: HttpRequest, obj: User, form: "ModelForm[User]", change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if "is_active" in form.changed_data:
            theirs = Membership.objects.filter(person=obj, ended_at=None)
            terms.changed(obj.pk, *theirs.values_list("account_id", flat=True))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # money hangs on it: deactivate instead


class SecretAdmin(ReadOnlyAdmin):
    """What a program signs in with: read, and ended for good; made by its owner alone."""

    list_display = ["name", "prefix", "last4", "user", "state", "created_at", "last_used_at"]
    list_filter = ["revoked_at", "expires_at"]
    list_select_related = ["user"]
    search_fields = ["name", "prefix", "last4", "user__email"]
    ordering = ["-id"]
    actions = ["revoke"]
    exclude = ["digest"]
    end: Callable[[Any], bool]

    @admin.display(description=_("Status"))
    def state(self, secret: ApiKey | PersonalToken) -> str:
        return gettext(secret.status(timezone.now()))

    @admin.action(description=_("Revoke for good"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for secret in queryset:
            self.end(secret)
            self.log_change(request, secret, "Revoked.")
        self.message_user(request, gettext("Revoked."))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"accounts.change_{self.opts.model_name}")


@admin.register(ApiKey)
class ApiKeyAdmin(SecretAdmin):
    list_select_related = ["user", "member__person"]
    list_display = [*SecretAdmin.list_display, "overflow"]
    exclude = ["digest", "overflow_cap"]
    readonly_fields = ["overflow"]
    end = staticmethod(api_keys.revoke)

    @admin.display(description=_("overflow a month"), ordering="overflow_cap")
    def overflow(self, key: ApiKey) -> str:
        return f"${dollars(key.overflow_cap)}" if key.overflow_cap else "–"


@admin.register(PersonalToken)
class PersonalTokenAdmin(SecretAdmin):
    end = staticmethod(personal_tokens.revoke)


class RecordAdmin(ReadOnlyAdmin):
    """What teams keep of themselves: staff read it."""

    ordering = ["-id"]


@admin.register(Membership)
class MembershipAdmin(RecordAdmin):
    list_display = ["account", "person", "role", "joined_at", "stopped_at", "ended_at"]
    list_filter = ["role", "stopped_at", "ended_at"]
    list_select_related = ["account", "person"]
    search_fields = ["account__name", "person__email"]
    actions = ["stop", "start"]

    @admin.action(description=_("Stop all keys of the member"), permissions=["switch"])
    def stop(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._switch(request, queryset, stopped=True)

    @admin.action(description=_("Start the keys of the member again"), permissions=["switch"])
    def start(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._switch(request, queryset, stopped=False)

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apikey")

    def _switch(
        self, request: HttpRequest, queryset: QuerySet[Membership], *, stopped: bool
    ) -> None:
        """As an owner does; the owner reads of it."""
        assert isinstance(request.user, User)
        changed = stopping.switch_members(
            queryset.filter(ended_at=None), stopped=stopped, by=request.user, now=timezone.now()
        )
        deed = "member_stopped" if stopped else "member_started"
        for each in changed:
            events.record(each.account_id, None, deed, each.person.email, who="support")
            self.log_change(request, each, "Stopped." if stopped else "Started.")
        self.message_user(request, gettext("%(n)d members.") % {"n": len(changed)})


@admin.register(Invitation)
class InvitationAdmin(RecordAdmin):
    list_display = ["account", "email", "role", "invited_by", "created_at", "expires_at"]
    list_select_related = ["account", "invited_by"]
    search_fields = ["account__name", "email"]
    exclude = ["digest"]


@admin.register(TeamEvent)
class TeamEventAdmin(RecordAdmin):
    list_display = ["at", "account", "actor_email", "action", "subject", "ip"]
    list_select_related = ["account"]
    search_fields = ["account__name", "actor_email", "action", "subject"]


@admin.register(LegalText)
class LegalTextAdmin(ModelAdmin):
    """The next version of a page is written here; one that holds stays as it is."""

    list_display = ["page", "version", "effective_at", "holds", "consents"]
    list_filter = ["page"]
    readonly_fields = ["version"]

    @admin.display(description=_("In force"), boolean=True)
    def holds(self, text: LegalText) -> bool:
        return texts.current(text.page, timezone.now()).pk == text.pk

    @admin.display(description=_("Agreed to by"))
    def consents(self, text: LegalText) -> int:
        return Consent.objects.filter(page=text.page, version=text.version).count()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The words that hold, to be changed: of the page in the address, or of the terms."""
        page = request.GET.get("page", texts.Page.TERMS)
        if page not in texts.Page.values:
            page = texts.Page.TERMS
        text = texts.current(page, timezone.now())
        later = timezone.now() + NOTICE
        words = {"english": text.english, "vietnamese": text.vietnamese}
        return {"page": page, "effective_at": later, **words}

    def save_model(
        self, request: HttpRequest, obj: LegalText, form: "ModelForm[LegalText]", change: bool
    ) -> None:
        if not change:
            obj.version = texts.next_version(obj.page)
        # Nobody agreed in the past to what is written now.
        obj.effective_at = max(obj.effective_at, timezone.now())
        super().save_model(request, obj, form, change)

    def has_change_permission(self, request: HttpRequest, obj: LegalText | None = None) -> bool:
        settled = obj is not None and obj.effective_at <= timezone.now()
        return not settled and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        settled = obj is not None and obj.effective_at <= timezone.now()
        return not settled and super().has_delete_permission(request, obj)


admin.site.unregister(Group)
admin.site.unregister(EmailAddress)
# How one signs in by Google or GitHub is a setting; a row would be a second one beside it.
admin.site.unregister([SocialApp, SocialToken, SocialAccount, Authenticator, UserSession])


@admin.register(EmailAddress)
class AddressAdmin(EmailAddressAdmin, ModelAdmin):
    """What staff confirm is their word, and no proof of whose the account is (proof.py)."""

    actions = ["make_verified"]

    @admin.action(description=_("Confirm"), permissions=["change"])
    def make_verified(self, request: HttpRequest, queryset: QuerySet[EmailAddress]) -> None:
        due = list(queryset.filter(verified=False))
        for address in due:
            _vouch(address)
        super().make_verified(request, queryset)
        for address in due:
            self.log_change(request, address, "Confirmed.")

    def save_model(
        self,
        request: HttpRequest,
        obj: EmailAddress,
        form: "ModelForm[EmailAddress]",
        change: bool,
    ) -> None:
        if obj.verified:
            _vouch(obj)
        super().save_model(request, obj, form, change)


def _vouch(address: EmailAddress) -> None:
    if proof.is_due(address.user):
        proof.vouch(address.user)


class ProofAdmin(ModelAdmin):
    """What people prove with who they are: listed, never edited, its secrets never shown."""

    list_select_related = ["user"]
    search_fields = ["user__email"]
    list_filter = ["created_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Authenticator)
class AuthenticatorAdmin(ProofAdmin):
    list_display = ["user", "type", "created_at", "last_used_at"]
    exclude = ["data"]


@admin.register(SocialAccount)
class SocialAccountAdmin(ProofAdmin):
    list_display = ["user", "provider", "uid", "last_login", "date_joined"]
    list_filter = ["provider", "date_joined"]


@admin.register(UserSession)
class SessionAdmin(ProofAdmin):
    """Deleting one signs its browser out."""

    list_display = ["user", "ip", "user_agent", "created_at", "last_seen_at"]
    exclude = ["data", "session_key"]


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass
