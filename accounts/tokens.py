"""Placeholder until the accounts capability lands."""

from rest_framework.authentication import BaseAuthentication


class AccessTokenAuthentication(BaseAuthentication):
    pass
