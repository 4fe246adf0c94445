"""Django's, which also finds what is marked for translation under the names that we mark it by."""

from typing import ClassVar

from django.core.management.commands import makemessages


class Command(makemessages.Command):
    xgettext_options: ClassVar[list[str]] = [
        *makemessages.Command.xgettext_options,
        "--keyword=_t",  # gettext_noop, where `_` is another
    ]
