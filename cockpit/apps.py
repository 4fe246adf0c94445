"""The app. Its pages replace those that the domains register, so it comes after them."""

from django.apps import AppConfig


class CockpitConfig(AppConfig):
    name = "cockpit"
