"""Whose pages these are: the account that is open, and the others one may switch to."""

from typing import Any

from django import template
from django.template import RequestContext

from accounts.models import User
from accounts.teams import memberships
from accounts.teams.acting import on_page

register = template.Library()


@register.inclusion_tag("accounts/_switch.html", takes_context=True)
def accounts(context: RequestContext) -> dict[str, Any]:
    """Nothing is looked up for people who never were in a team."""
    request: Any = context.get("request")
    if request is None or not isinstance(getattr(request, "user", None), User):
        return {}
    if hasattr(request, "viewed_by"):
        return {"person": request.user, "csrf_token": context.get("csrf_token")}
    work = on_page(request)
    person = work.person
    found = [] if person.acts_for_id is None else memberships.of(person)
    others = [(each.account_id, each.account.name) for each in found]
    if others:
        others.insert(0, (person.pk, person.email))
    return {
        "person": person,
        "work": work,
        "account": work.account,
        "others": [each for each in others if each[0] != work.account.pk],
        "csrf_token": context.get("csrf_token"),
    }
