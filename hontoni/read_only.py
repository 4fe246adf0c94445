"""Tables that staff read and nobody changes by hand."""

from typing import Any

from unfold.admin import ModelAdmin


class ReadOnly:
    """Nobody adds, changes or deletes these: mixed into a page, or into a table on another's."""

    def has_add_permission(self, *args: Any) -> bool:
        return False

    def has_change_permission(self, *args: Any) -> bool:
        return False

    def has_delete_permission(self, *args: Any) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # the theme is untyped
    """A page of its own."""
