"""Under /api/. The paid traffic is in v1.py and never reaches Django."""

from django.urls import path

from gateway import api

urlpatterns = [
    path("models", api.ModelsView.as_view(), name="models"),
    path("usage", api.UsageListView.as_view(), name="usage"),
    path("usage/<str:request_id>", api.ReceiptView.as_view(), name="receipt"),
]
