"""Static files, as WhiteNoise finds them: each is read whole and sent at once.

WhiteNoise hands out open files, which Django's ASGI handler can only iterate in a thread, chunk
by chunk, and warns about. Ours are small.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # WhiteNoise is untyped
    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        headers, body = dict(found.headers), b""
        if found.file is not None:
            with found.file:
                body = found.file.read()
            # WhiteNoise noted the size when we started; the file may have been edited since.
            headers["Content-Length"] = str(len(body))
        return HttpResponse(body, status=int(found.status), headers=headers)
