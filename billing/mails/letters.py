"""Every kind of notice, and the mail it becomes: templates/emails/<kind>.txt, in English, and
templates/emails/<language>/<kind>.txt.

The facts of plans and payments are listed in notices.py. The others', amounts in dollars
as text and moments in ISO 8601:

* low_balance: balance, threshold
* window_80, window_100: window (a name of `WINDOWS`), limit, resets_at
* cap_80, cap_100: of (key, member, or overflow: past windows), whose (the key's name, the member's
  address), period (day, month or life), cap, spent, resets_at (null of a life)
* channel_off: channel (its name), url (of a webhook, or empty), status (0: no answer), problem,
  page
* new_key: key_name, shown
* key_leaked: key_name, shown, by_github (else somebody reported it), where (or empty)
* correction: correction (its number), model, from_at, to_at, requests, amount, credited (else
  debited), reason, invoice (a number, or null), balance
* promo: code, kind, amount, plan, days
* model_price_rises: model, from_at, rows (of bucket, old, new), or `withdrawn` and no rows; own
  (what the customer pays of the list in percent, where the rows are that; or empty)
* feature_price_rises: feature (as it is asked for), about (what it is), models (those of it alone;
  empty: all), from_at, rows (of per_call or times, old, new), or `withdrawn` and no rows
* model_ends: model, ends_at, over (it has ended), successor (or empty), redirects (does it answer
  then?), dearer (is it, if so?), notice (where the vendor says so, or empty)
* announcement, news: announcement (its number), and by `announcements.facts` subject, body and
  unsubscribe (an address; of news)
* own_key_fee_rises: vendor (empty: every other), from_at, old_tokens, new_tokens (a million),
  old_request, new_request; or `withdrawn` and no amounts
* own_price, own_price_ends: model (empty: all), percent of the list's prices (or empty), rows (of
  bucket, new), from_at, until_at (or null); own_price may be `withdrawn`

The HTML is the text, laid out: they cannot say different things. What the law or the account's
safety asks for cannot be switched off (`required`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.dateparse import parse_datetime
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_noop as _

from hontoni import money


@dataclass(frozen=True, slots=True)
class Letter:
    """`about` says in the preferences when it comes; pages translate it."""

    subject: str
    about: str
    required: bool = False


LETTERS = {
    "topup_receipt": Letter(_("Receipt for your top-up"), _("Receipts of top-ups"), required=True),
    "low_balance": Letter(_("Your balance is low"), _("Your balance falls below your threshold")),
    "window_80": Letter(
        # xgettext:no-python-format
        _("You have used 80 % of a limit"),
        # xgettext:no-python-format
        _("80 % of a limit is used"),
    ),
    "window_100": Letter(_("A limit of your plan is used up"), _("A limit is used up")),
    "cap_80": Letter(
        # xgettext:no-python-format
        _("80 % of a spend cap is spent"),
        # xgettext:no-python-format
        _("80 % of a spend cap is spent"),
    ),
    "cap_100": Letter(_("A spend cap is reached"), _("A spend cap is reached")),
    "channel_off": Letter(
        _("Notifications do not arrive: we switched them off"),
        _("A webhook or another channel is switched off"),
        required=True,
    ),
    "plan_started": Letter(_("Your plan has begun"), _("A plan begins"), required=True),
    "plan_upgraded": Letter(_("Your plan has changed"), _("An upgrade"), required=True),
    "add_on_started": Letter(_("Your add-on is active"), _("An add-on begins"), required=True),
    "windows_reset": Letter(_("Your limits are reset"), _("A reset pass"), required=True),
    "price_rises": Letter(_("A price rises"), _("A price rises"), required=True),
    "surcharge_rises": Letter(
        _("The surcharge of overflow rises"), _("The surcharge of overflow rises"), required=True
    ),
    "model_price_rises": Letter(
        _("A model's price changes"), _("The price of a model you use rises"), required=True
    ),
    "feature_price_rises": Letter(
        _("The price of a tool or an option changes"),
        _("The price of a tool or an option you use rises"),
        required=True,
    ),
    "model_ends": Letter(_("A model you use ends"), _("A model you use ends")),
    "own_price": Letter(
        _("Your prices were agreed"), _("Prices of your own are agreed"), required=True
    ),
    "own_key_fee_rises": Letter(
        _("The fee for your own key changes"), _("The fee for own keys rises"), required=True
    ),
    "own_price_ends": Letter(_("Your own prices end"), _("Prices of your own end"), required=True),
    "plan_renewal_soon": Letter(_("Your plan renews soon"), _("A renewal is near")),
    "plan_renewed": Letter(_("Your plan is renewed"), _("A renewal"), required=True),
    "plan_renewal_failed": Letter(
        _("Your plan could not be renewed"), _("A renewal failed"), required=True
    ),
    "plan_ended": Letter(_("Your plan has ended"), _("A plan ends"), required=True),
    "auto_topup": Letter(_("We topped up your balance"), _("Automatic top-ups"), required=True),
    "auto_topup_failed": Letter(
        _("An automatic top-up failed"), _("An automatic top-up failed"), required=True
    ),
    "auto_topup_off": Letter(
        _("Automatic top-up is off"), _("Automatic top-up was switched off"), required=True
    ),
    "dispute": Letter(
        _("A payment of yours is disputed"), _("A payment is disputed"), required=True
    ),
    "dispute_won": Letter(_("A dispute is settled"), _("A dispute is settled"), required=True),
    "refund": Letter(_("We have refunded you"), _("Refunds"), required=True),
    "refund_failed": Letter(
        _("A refund did not go through"), _("A refund did not go through"), required=True
    ),
    "correction": Letter(
        _("We have corrected what requests cost"), _("A correction of charges"), required=True
    ),
    "account_frozen": Letter(
        _("Your API keys are frozen"), _("Your account is frozen"), required=True
    ),
    "new_key": Letter(_("A new API key was made"), _("A key was made"), required=True),
    "key_leaked": Letter(
        _("An API key of yours leaked: it is revoked"), _("A key leaked"), required=True
    ),
    "promo": Letter(_("Your promo code"), _("What promo codes gave you")),
    "announcement": Letter(
        _("An announcement"), _("Announcements about the service"), required=True
    ),
    "news": Letter(_("News"), _("News and offers")),
}


def words(
    kind: str, facts: Mapping[str, Any], *, language: str, **context: Any
) -> tuple[str, str]:
    """Subject and text about these facts, the text without greeting and foot unless `name` (which
    may be empty) is among the context. Raises KeyError for an unknown kind. A language we have no
    letters in is English."""
    with _spoken(language):
        letter, spoken = LETTERS[kind], get_language()
        subject = facts.get("subject") or gettext(letter.subject)
        shown = {
            **{fact: _shown(fact, value) for fact, value in facts.items()},
            "bare": "name" not in context,
            "required": letter.required,
            "public_url": settings.PUBLIC_URL,
            "choosing": "/billing/mails",
            **context,
        }
        text = render_to_string([f"emails/{spoken}/{kind}.txt", f"emails/{kind}.txt"], shown)
    return subject, text.strip() if shown["bare"] else text


def _spoken(language: str) -> translation.override:
    return translation.override(language if language in dict(settings.LANGUAGES) else "en")


def compose(
    kind: str,
    facts: Mapping[str, Any],
    *,
    to: str | Sequence[str],
    name: str,
    language: str,
    message_id: str,
    choosing: str = "/billing/mails",
) -> EmailMultiAlternatives:
    """The mail about these facts, in text and HTML. Raises KeyError for an unknown kind.

    `message_id` is the same whenever this mail is sent again, so a mailbox shows it once;
    `choosing` is where its reader says which mails come.
    """
    subject, text = words(kind, facts, language=language, name=name, choosing=choosing)
    return laid_out(subject, text, facts, to=to, language=language, message_id=message_id)


def laid_out(
    subject: str,
    text: str,
    facts: Mapping[str, Any],
    *,
    to: str | Sequence[str],
    language: str,
    message_id: str,
) -> EmailMultiAlternatives:
    """A mail of a text that is written."""
    with _spoken(language):
        around = {"subject": subject, "text": text, "language": get_language()}
        html = render_to_string("emails/_layout.html", around)
    headers = {"Message-ID": message_id, "Auto-Submitted": "auto-generated"}
    if unsubscribe := facts.get("unsubscribe"):  # RFC 8058: a reader's button, without signing in
        headers["List-Unsubscribe"] = f"<{unsubscribe}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail = EmailMultiAlternatives(
        subject, text, to=[to] if isinstance(to, str) else to, headers=headers
    )
    mail.attach_alternative(html, "text/html")
    return mail


def _shown(fact: str, value: Any) -> Any:
    """Moments travel as ISO text; templates format them. Windows and features have names
    to translate."""
    if fact in ("window", "about") and value:
        return gettext(value)
    if fact == "period" and value:
        return gettext(PERIODS[value])
    if fact == "rows":
        return [_row(row) for row in value]
    if isinstance(value, str) and fact.endswith(("_at", "_until")):
        return parse_datetime(value)
    return value


PERIODS = {"day": _("a UTC day"), "month": _("a UTC month"), "life": _("in all")}
BUCKETS = {
    "input": _("input"),
    "cache_read": _("cache read"),
    "cache_write_5m": _("cache write, 5 minutes"),
    "cache_write_1h": _("cache write, 1 hour"),
    "output": _("output"),
    "reasoning": _("reasoning"),
    "per_call": _("each call"),
    "times": _("what a dollar of tokens comes to"),
}


def _row(row: Mapping[str, str]) -> dict[str, str]:
    """One bucket of a price, and by how much it changes."""
    bucket = row["bucket"].removeprefix("long_")
    name = gettext(BUCKETS[bucket])
    if bucket != row["bucket"]:
        name = gettext("%(bucket)s, long prompts") % {"bucket": name}
    change = money.change(money.nanos(row["old"]), money.nanos(row["new"])) if "old" in row else ""
    return {**row, "name": name, "change": change}
