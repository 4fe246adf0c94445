"""Every form that is sent says which account its page was of, beside the token against forgery.

Who opens another account in a second tab, and then sends a form of the first, is told; nothing is
done in the wrong account (teams/acting.py).
"""

from typing import Any

from django import template
from django.template.base import Parser, Token
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html

from accounts.teams.acting import FIELD

register = template.Library()


class _Node(CsrfTokenNode):
    def render(self, context: Any) -> str:
        token = super().render(context)
        work = getattr(context.get("request"), "acting", None)
        if not token or work is None:
            return token
        return token + format_html(
            '<input type="hidden" name="{}" value="{}">', FIELD, str(work.account.pk)
        )


@register.tag
def csrf_token(parser: Parser, token: Token) -> _Node:
    """In the place of Django's own."""
    return _Node()
