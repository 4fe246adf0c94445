"""Pages of the admin that are not a table's. They stand before the admin's own addresses."""

from django.contrib import admin
from django.urls import path

from cockpit import preferences, views

urlpatterns = [
    path("reports/<slug:name>", admin.site.admin_view(views.show), name="cockpit-report"),
    path("preferences", admin.site.admin_view(preferences.show), name="cockpit-preferences"),
    path("tables", admin.site.admin_view(views.tables), name="cockpit-tables"),
]
