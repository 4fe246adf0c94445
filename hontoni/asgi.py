"""Both planes in one process: /v1 on Starlette, ahead of Django; everything else Django's."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hontoni.settings")

application = get_asgi_application()
