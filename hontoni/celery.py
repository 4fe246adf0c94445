"""The Celery app and the beat schedule."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hontoni.settings")

app = Celery("hontoni")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
