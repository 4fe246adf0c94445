"""Django's, which also finds what is marked for translation under the names that we mark it by."""

from typing import Any

from django.core.management.commands import makemessages


class Command(makemessages.Command):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # gettext_noop, where `_` is another
        self.xgettext_options = [*self.xgettext_options, "--keyword=_t"]
