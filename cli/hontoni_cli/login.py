"""Signing in by a code that is typed on a page of the gateway (RFC 8628)."""

import platform
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hontoni_cli import home
from hontoni_cli.gateway import Failed, Gateway, origin

CLIENT = "hontoni-cli"
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SLOWER = 5  # seconds more for who is told to slow down (RFC 8628 section 3.5)


def login(
    url: str, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Ask for codes, show the person theirs, and keep the token once there is one. Raises
    Failed."""
    gateway = Gateway(origin(url))
    codes = gateway.form("/oauth/device", client_id=CLIENT, device_name=f"hontoni on {_here()}")
    if not isinstance(codes, dict) or "device_code" not in codes:
        raise Failed(f"{gateway.url} answers, but not as a gateway does: is the address right?")
    say(f"Open {codes['verification_uri']} and type this code:\n\n    {codes['user_code']}\n")
    say("Type it only if you started this yourself, just now.")
    token = _wait(gateway, codes, sleep)
    before = home.read(_file())
    home.write(_file(), {"url": gateway.url, "token": token["access_token"]})
    if before is not None:  # one sign-in, one token
        with suppress(Failed):
            Gateway(before["url"]).form("/oauth/revoke", token=before["token"])
    say(f"Signed in: {token['scope']}.")


def _wait(gateway: Gateway, codes: dict[str, Any], sleep: Callable[[float], None]) -> Any:
    """Until the code ends. A network that is away for a while ends nothing."""
    interval, waited = float(codes["interval"]), 0.0
    while True:
        sleep(interval)
        waited += interval
        try:
            return gateway.form(
                "/oauth/token",
                client_id=CLIENT,
                grant_type=_GRANT,
                device_code=codes["device_code"],
            )
        except Failed as failed:
            if failed.code == "slow_down":
                interval += _SLOWER
            elif failed.code != "authorization_pending" and 0 < failed.status < 500:
                raise
            if waited > codes["expires_in"]:
                raise


def logout(say: Callable[[str], None]) -> None:
    """End the token at the gateway, and forget it here."""
    known = home.read(_file())
    if known is None:
        say("You are not signed in.")
        return
    Gateway(known["url"]).form("/oauth/revoke", token=known["token"])
    _file().unlink()
    say("Signed out: the token is revoked.")


def gateway() -> Gateway:
    """Where the person is signed in. Raises Failed."""
    known = home.read(_file())
    if known is None:
        raise Failed("You are not signed in: hontoni login https://gateway.example")
    return Gateway(known["url"], known["token"])


def _file() -> Any:
    return home.folder() / "login.json"


def _here() -> str:
    return platform.node() or platform.system()
