"""Who searches the web for us."""

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.vendors.models import home, http_url
from hontoni.announced import Announced


class Shape(models.TextChoices):
    """How it is asked, and how it answers."""

    SEARXNG = "searxng", "SearXNG"
    BRAVE = "brave", "Brave Search"


BRAVE_URL = "https://api.search.brave.com"


class SearchProvider(Announced):
    """A search engine's API that is asked in the place of a vendor's own search. Its key can be
    written and never read: `sealed` is ciphertext.

    While none is active, no model is offered a search of ours, nor a page.
    """

    name = models.SlugField(_("name"), max_length=40, unique=True)
    shape = models.CharField(
        _("shape"),
        max_length=10,
        choices=Shape,
        help_text=_("How it is asked. A SearXNG must have the format json switched on."),
    )
    base_url = models.CharField(
        _("address"),
        max_length=200,
        blank=True,
        validators=[http_url],
        help_text=_("Empty for Brave's own."),
    )
    sealed = models.TextField(blank=True, default="", db_default="", editable=False)
    # The home its key was entered for: it is sent nowhere else (vendors/models.py, Credential).
    entered_for = models.CharField(
        max_length=300, blank=True, default="", db_default="", editable=False
    )
    internal = models.BooleanField(
        _("in our own network"),
        default=False,
        db_default=False,
        help_text=_(
            "It may be reached at an address that is not public. What it finds is read from the "
            "public internet all the same."
        ),
    )
    results = models.PositiveSmallIntegerField(
        _("results"),
        default=8,
        db_default=8,
        validators=[MinValueValidator(1), MaxValueValidator(20)],
        help_text=_("How many of one search a model is told of, at most."),
    )
    priority = models.PositiveSmallIntegerField(
        _("priority"), default=0, db_default=0, help_text=_("0 is asked first.")
    )
    active = models.BooleanField(_("active"), default=True, db_default=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["priority", "name"]
        verbose_name = _("search provider")
        verbose_name_plural = _("search providers")

    def __str__(self) -> str:
        return self.name

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return (self.base_url.strip() or BRAVE_URL).rstrip("/")

    @property
    def home(self) -> str:
        """Who gets to see a key that is sent there."""
        return home(self.shape, self.url)

    def clean(self) -> None:
        """Raises ValidationError where nobody would know whom to ask."""
        if self.shape == Shape.SEARXNG and not self.base_url.strip():
            raise ValidationError({"base_url": _("A SearXNG is somebody's own: say where it is.")})
