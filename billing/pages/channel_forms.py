"""Where somebody wants to hear of events, as forms."""

from typing import Any

from django import forms
from django.utils.functional import lazystr
from django.utils.translation import gettext_lazy as _

from billing.channels import events
from billing.channels.models import Channel

Kind = Channel.Kind
_URLS = {
    Kind.WEBHOOK: (_("Address"), _("https, on the public internet.")),
    Kind.SLACK: (
        _("Address of the incoming webhook"),
        _("From Slack's app “Incoming Webhooks”. It is sealed, and never shown again."),
    ),
}


class ChannelForm(forms.Form):
    """A channel of one kind, to make or (with `channel`) to change."""

    name = forms.CharField(label=_("Name"), max_length=100)
    url = forms.CharField(max_length=500, widget=forms.URLInput(attrs={"spellcheck": "false"}))
    active = forms.BooleanField(label=_("Switched on"), required=False)
    events = forms.MultipleChoiceField(
        label=_("What to hear of"),
        help_text=_("None ticked: everything there is, and what is added later."),
        choices=lambda: [(name, event.about) for name, event in events.TYPES.items()],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(
        self, *args: Any, kind: str, channel: Channel | None = None, **options: Any
    ) -> None:
        options.setdefault("auto_id", f"id_{kind}_%s")
        super().__init__(*args, **options)
        self.kind = kind
        if kind in _URLS:
            self.fields["url"].label, self.fields["url"].help_text = _URLS[Kind(kind)]
        else:
            del self.fields["url"]
        if channel is None:
            del self.fields["active"]
            self.initial.setdefault("name", str(Kind(kind).label))
            return
        self.initial = {"name": channel.name, "active": channel.active, "events": channel.events}
        if kind == Kind.WEBHOOK:
            self.initial["url"] = channel.url
        if kind == Kind.SLACK:
            self.fields["url"].required = False
            self.fields["url"].help_text = lazystr(_("Empty: the one there is."))
        if kind == Kind.TELEGRAM and not channel.chat:
            del self.fields["active"]

    @property
    def title(self) -> str:
        return str(Kind(self.kind).label)
