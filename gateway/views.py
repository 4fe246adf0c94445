"""The public pages."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from gateway import catalogue
from hontoni.money import dollars


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What it is, a first request with the visitor's own base URL, and the price list."""
    rows = [
        {
            "id": model.id,
            "context": model.context_window // 1000,
            "input": dollars(model.price.rates[0]),
            "cache_read": dollars(model.price.rates[1]),
            "cache_write": dollars(model.price.rates[2]),
            "output": dollars(model.price.rates[4]),
        }
        for model in catalogue.load().models.values()
    ]
    base_url = request.build_absolute_uri("/").rstrip("/")
    return render(request, "gateway/home.html", {"rows": rows, "base_url": base_url})
