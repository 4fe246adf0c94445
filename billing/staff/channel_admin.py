"""Staff's view of customers' channels: where events go, and why they do not arrive. Nothing of
a secret is shown."""

from django.contrib import admin

from billing.channels.models import Channel, Delivery
from billing.staff.audited import ReadOnlyAdmin


@admin.register(Channel)
class ChannelAdmin(ReadOnlyAdmin):
    list_display = ["name", "kind", "account", "person", "active", "failing_since", "disabled_at"]
    list_filter = ["kind", "active"]
    list_select_related = ["account", "person"]
    search_fields = ["account__email", "person__email", "name", "url"]
    exclude = ["sealed", "sealed_before", "code", "chat"]
    ordering = ["-pk"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    keyset = True
    list_display = ["created_at", "channel", "notice", "status", "attempts", "due_at", "ended_at"]
    list_filter = ["status"]
    list_select_related = ["channel", "notice"]
    search_fields = ["channel__account__email", "notice__key"]
    ordering = ["-id"]
    show_full_result_count = False
