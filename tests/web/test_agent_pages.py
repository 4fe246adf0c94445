"""What lets programs in and tells what they did, on the smallest phone, in Vietnamese, by axe."""

import pytest

from accounts.sign_in import device_codes
from accounts.teams import events
from tests.gateway_server import Gateway
from tests.web.conftest import Open
from tests.web.test_every_page import _accessible, _look_at, _small, _vietnamese
from tests.world import Person

pytestmark = pytest.mark.any_database


def test_the_pages_of_programs_fit_a_phone_are_accessible_and_speak_vietnamese(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    for done in (True, False):
        events.record(
            *(alice.user.pk, alice.user, "tool_called", "explain_request"),
            ip="2001:db8::1",
            done=done,
        )
    _look_at(open_page, alice, ["/account/tokens", "/device", "/docs/agents"])
    codes = device_codes.ask("hontoni on a-laptop-with-quite-a-long-name", (), "203.0.113.9")
    phone = {"width": 320, "height": 640}
    page = open_page("/device", alice, viewport=phone, locale="vi-VN")
    page.get_by_role("textbox").fill(codes.user.lower().replace("-", " "))
    page.locator("main form button").click()
    page.get_by_text("203.0.113.9").first.wait_for()
    for check in (_small, _vietnamese, _accessible):
        check(page)
    page.locator("button[value=allow]").click()
    page.get_by_text("hontoni on a-laptop").first.wait_for()
