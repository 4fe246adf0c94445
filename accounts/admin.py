"""Staff's view of people and keys. Nothing here shows or makes a key."""

from typing import Any

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.keys import api_keys
from accounts.models import ApiKey, User
from accounts.people import terms
from accounts.sign_in import proof


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["email", "name", "is_active", "is_staff", "created_at", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email", "name"]
    ordering = ["-id"]
    readonly_fields = [
        "created_at",
        "frozen_at",
        "frozen_reason",
        "key_cap",
        "last_login",
        "terms_version",
    ]
    fieldsets = [
        (None, {"fields": ["email", "name", "password"]}),
        ("Keys", {"fields": ["key_cap", "terms_version", "frozen_at", "frozen_reason"]}),
        (
            "Permissions",
            {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]},
        ),
        ("Dates", {"fields": ["created_at", "last_login"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["email", "name", "usable_password", "password1", "password2"]})
    ]

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
            terms.changed(obj.pk)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # money hangs on it: deactivate instead


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    list_display = ["name", "prefix", "last4", "user", "state", "created_at", "last_used_at"]
    list_filter = ["revoked_at", "expires_at"]
    list_select_related = ["user"]
    search_fields = ["name", "prefix", "last4", "user__email"]
    ordering = ["-id"]
    actions = ["revoke"]
    exclude = ["digest"]

    @admin.display(description="Status")
    def state(self, key: ApiKey) -> str:
        return key.status(timezone.now())

    @admin.action(description="Revoke for good", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            api_keys.revoke(key)
            self.log_change(request, key, "Revoked.")
        self.message_user(request, "The keys are revoked.")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apikey")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


admin.site.unregister(Group)
admin.site.unregister(EmailAddress)


@admin.register(EmailAddress)
class AddressAdmin(EmailAddressAdmin, ModelAdmin):
    """What staff confirm is their word, and no proof of whose the account is (proof.py)."""

    actions = ["make_verified"]

    @admin.action(description="Confirm")
    def make_verified(self, request: HttpRequest, queryset: QuerySet[EmailAddress]) -> None:
        for address in queryset.filter(verified=False):
            _vouch(address)
        super().make_verified(request, queryset)

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


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass
