"""Staff's view of the mails: what was told, when it was sent, and why not."""

from django.contrib import admin

from billing.mails.models import Mail, Notice, Preferences
from billing.staff.audited import ReadOnlyAdmin


@admin.register(Mail)
class MailAdmin(ReadOnlyAdmin):
    keyset = True
    list_display = ["notice", "status", "attempts", "due_at", "sent_at", "problem"]
    list_filter = ["status", "sent_at"]
    list_select_related = ["notice"]
    search_fields = ["notice__key", "notice__user__email", "problem"]
    ordering = ["-notice_id"]
    show_full_result_count = False


@admin.register(Preferences)
class PreferencesAdmin(ReadOnlyAdmin):
    list_display = ["user", "low_balance", "unwanted"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    ordering = ["-pk"]


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    keyset = True
    list_display = ["created_at", "user", "kind"]
    list_filter = ["kind", "created_at"]
    list_select_related = ["user"]
    search_fields = ["user__email", "key"]
    ordering = ["-id"]
    show_full_result_count = False
