"""What staff do to one row, behind a form: with a reason, in one transaction with its audit."""

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.staff.audited import ReadOnlyAdmin
from hontoni import errors
from hontoni.translated_errors import to_staff

Deed = Callable[[HttpRequest, Any, dict[str, Any]], str]


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The customer sees it."),
    )


class AuditedForm(ReasonForm):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("For the audit: the customer does not see it."),
    )


class OnceForm(ReasonForm):
    """Sent twice, this very form does its deed once."""

    once = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)


class DeedAdmin(ReadOnlyAdmin):
    """A page whose row staff may do something to."""

    def ask(
        self,
        request: HttpRequest,
        object_id: Any,
        title: str,
        form: forms.Form,
        do: Deed,
        *,
        at_once: bool = True,
    ) -> HttpResponse:
        """Show the form; filled in, do it, and go back. `at_once`: all of it in one transaction,
        which is wrong where somebody else (Stripe) does a part of it for good."""
        row = self.get_object(request, unquote(str(object_id)))
        if row is None or not self.has_view_permission(request, row):
            raise PermissionDenied
        whole: AbstractContextManager[Any] = transaction.atomic() if at_once else nullcontext()
        if request.method == "POST" and form.is_valid():
            try:
                with whole:
                    done = do(request, row, form.cleaned_data)
                self.message_user(request, done, messages.SUCCESS)
                options = self.model._meta
                name = f"admin:{options.app_label}_{options.model_name}_change"
                return redirect(reverse(name, args=[quote(row.pk)]))
            except errors.ApiError as error:
                form.add_error(None, to_staff(error))
        return self.show(request, f"{title}: {row}", form, title)

    def show(
        self, request: HttpRequest, title: str, form: forms.Form, button: str = ""
    ) -> HttpResponse:
        """A form on a page of its own."""
        shown = {"form": form, "title": title, "button": button or title}
        context = {**self.admin_site.each_context(request), "opts": self.model._meta, **shown}
        return render(request, "admin/billing/customer/ask.html", context)
