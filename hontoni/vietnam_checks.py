"""What must not run of money from Vietnam: half a set-up, and play money beside real money."""

from datetime import date
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error

_SEPAY = ("SEPAY_API_TOKEN", "SEPAY_WEBHOOK_SECRET", "SEPAY_WEBHOOK_KEY")
_PAYOS = ("PAYOS_CLIENT_ID", "PAYOS_API_KEY", "PAYOS_CHECKSUM_KEY")
_EINVOICE = (
    *("EINVOICE_CLIENT_ID", "EINVOICE_CLIENT_SECRET", "EINVOICE_ACCOUNT", "EINVOICE_SERIES"),
    "EINVOICE_SINCE",
)
LEAST_KEY = 16


def vietnam() -> list[CheckMessage]:
    """Nothing, where nothing of it is set."""
    return [*_account(), *_halves(), *_bases(), *_numbers()]


def _set(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if getattr(settings, name)]


def _account() -> list[CheckMessage]:
    bank, account = settings.VIETQR_BANK, settings.VIETQR_ACCOUNT
    if not (bank or account):
        return []
    is_bank = len(bank) == 6 and bank.isascii() and bank.isdecimal()
    if is_bank and 0 < len(account) <= 19 and account.isascii() and account.isalnum():
        return []
    return [
        Error(
            "VIETQR_BANK is six digits, VIETQR_ACCOUNT up to 19 letters and digits: both or none.",
            id="hontoni.E040",
        )
    ]


def _halves() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if 0 < len(settings.SEPAY_WEBHOOK_KEY) < LEAST_KEY:
        found.append(
            Error("SEPAY_WEBHOOK_KEY is too short: it can be guessed.", id="hontoni.E041")
        )
    if _set(_SEPAY) and not settings.VIETQR_ACCOUNT:
        found.append(Error("SePay is set up without VIETQR_ACCOUNT.", id="hontoni.E042"))
    for names, id in ((_PAYOS, "hontoni.E043"), (_EINVOICE, "hontoni.E044")):
        if _set(names) and len(_set(names)) < len(names):
            missing = ", ".join(name for name in names if not getattr(settings, name))
            found.append(Error(f"Set up in part: {missing} is missing.", id=id))
    return found


def _bases() -> list[CheckMessage]:
    """As with Stripe: what is played never credits what is sold, nor the other way round."""
    found: list[CheckMessage] = []
    used = (
        ("SEPAY_API_BASE", settings.SEPAY_API_TOKEN),
        ("PAYOS_API_BASE", settings.PAYOS_CLIENT_ID),
        ("EINVOICE_API_BASE", settings.EINVOICE_CLIENT_ID),
    )
    for name in (name for name, is_used in used if is_used):
        there = urlsplit(getattr(settings, name))
        is_local = there.hostname in ("127.0.0.1", "localhost", "::1")
        if there.scheme != "https" and not is_local:
            found.append(Error(f"{name} is no https address.", id="hontoni.E045"))
        if is_local != bool(settings.SANDBOX):
            what = "a real one beside the sandbox" if settings.SANDBOX else "a simulator's"
            found.append(Error(f"{name} is {what}: play money would be real.", id="hontoni.E046"))
    return found


def _numbers() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.EINVOICE_SINCE:
        try:
            date.fromisoformat(settings.EINVOICE_SINCE)
        except ValueError:
            found.append(Error("EINVOICE_SINCE: a day, such as 2026-12-01.", id="hontoni.E047"))
    if not 1 <= settings.VIETQR_MINUTES <= 1440:
        found.append(Error("VIETQR_MINUTES: from 1 to 1440.", id="hontoni.E048"))
    return found
