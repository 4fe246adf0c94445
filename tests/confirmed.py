"""Who has confirmed their address."""

from allauth.account.models import EmailAddress

from accounts.models import User


def confirm(user: User) -> User:
    """The link in the mail was followed."""
    EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )
    return user
