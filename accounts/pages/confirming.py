"""The page a link in our mails leads to: an address is proven, and by whom is asked (proof.py)."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from allauth.account.views import ConfirmEmailView
from django import forms
from django.contrib import messages
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from accounts.models import User
from accounts.sign_in import devices, proof


class KeepForm(forms.Form):
    """Whoever opened the account knows its password, and goes on with all there is."""

    password = forms.CharField(
        label=gettext_lazy("Password of the account"),
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request, self.user = request, user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        known = get_adapter(self.request).authenticate(
            self.request, email=self.user.email, password=password
        )
        if known is None or known.pk != self.user.pk:
            raise ValidationError(_("This is not the password of the account."))
        return password


class CleanForm(forms.Form):
    """The owner of the address takes the account, and nobody else has it any more."""

    new_password = forms.CharField(
        label=gettext_lazy("New password"),
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        validate_password(password, self.user)
        return password


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class Confirm(ConfirmEmailView):  # type: ignore[misc]  # allauth is untyped
    """The link is only ever in a mail, so whoever is here reads the mailbox. In a session of the
    account one click does; else the password keeps what there is, or a new one starts clean."""

    def get_object(self, queryset: Any = None) -> Any:
        found = super().get_object(queryset)
        if not found.email_address.user.is_active:
            raise Http404
        return found

    @property
    def address(self) -> EmailAddress:
        found: EmailAddress = self.object.email_address
        return found

    def post(self, *args: Any, **kwargs: Any) -> HttpResponse:
        self.object = self.get_object()
        self.logout_other_user(self.object)
        if not self.address.can_set_verified() or self._is_anothers():
            return self._again()
        if self.request.user.is_authenticated:
            return self._kept()
        user = self.address.user
        if "password" in self.request.POST or not proof.is_due(user):
            keep = KeepForm(self.request.POST, request=self.request, user=user)
            return self._kept() if keep.is_valid() else self._again(keep=keep)
        if "new_password" in self.request.POST:
            clean = CleanForm(self.request.POST, user=user)
            if not clean.is_valid():
                return self._again(clean=clean)
            self._settle(clean.cleaned_data["new_password"])
            messages.success(self.request, _("Confirmed. The account is yours alone: log in."))
            return redirect("account_login")
        self._settle(None)
        return redirect(_set_password(user))

    def _is_anothers(self) -> bool:
        """Somebody opened an account with it while this one waited to change to it."""
        found = User.objects.filter(email=self.address.email)
        return found.exclude(pk=self.address.user_id).exists()

    def _kept(self) -> HttpResponse:
        self.object.confirm(self.request)
        return redirect(self.get_redirect_url())

    @transaction.atomic
    def _settle(self, password: str | None) -> None:
        user = self.address.user
        if self.address.email != user.email:
            self.address.set_as_primary()
            user = self.address.user
        proof.settle(user, password=password)
        devices.remember(self.request, user.email)

    def _again(self, **forms: forms.Form) -> HttpResponse:
        answer: HttpResponse = self.render_to_response(self.get_context_data(**forms))
        return answer

    def get_context_data(self, **forms: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data()
        if self.object is None:
            return context
        user = self.address.user
        first = proof.is_due(user)
        fresh = {
            "keep": KeepForm(request=self.request, user=user),
            "clean": CleanForm(user=user) if first else None,
        }
        mine = self.request.user.is_authenticated
        context["can_confirm"] = context["can_confirm"] and not self._is_anothers()
        return {**context, **fresh, **forms, "mine": mine, "made": proof.made(user)}


def _set_password(user: User) -> str:
    """Where the owner of an address, who is here, gives the account its password."""
    key = default_token_generator.make_token(user)
    uid = user_pk_to_url_str(user)
    return reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": key})
