"""The admin works under its policy: what a page complains about in the console fails the test."""

import pytest

from tests.web.conftest import Open
from tests.world import Person

pytestmark = pytest.mark.any_database


def test_the_admin_works_under_its_policy(open_page: Open, alice: Person) -> None:
    alice.user.is_staff = alice.user.is_superuser = True
    alice.user.save()
    page = open_page("/admin/", alice)
    for path in ("accounts/user/", "accounts/user/add/", "billing/plan/"):
        page.goto(f"/admin/{path}")
        page.wait_for_load_state("networkidle")
        assert page.locator("h1, h2").count()
    page.goto(f"/admin/accounts/user/{alice.user.pk}/change/")
    assert page.evaluate("typeof Alpine") == "object"  # which evaluates what pages say


TOO_WIDE = "document.documentElement.scrollWidth > window.innerWidth"


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark")])
def test_the_home_works_in_a_browser(
    open_page: Open, alice: Person, width: int, scheme: str
) -> None:
    alice.user.is_staff = alice.user.is_superuser = True
    alice.user.save()
    view = {"width": width, "height": 900}
    page = open_page("/admin/", alice, viewport=view, color_scheme=scheme)
    page.get_by_text("Balances owed").wait_for()
    assert not page.evaluate(TOO_WIDE)
    page.goto(page.url.rstrip("/") + f"/billing/customer/{alice.user.pk}/change/")
    page.locator("#tabs-items a").first.wait_for()
    assert not page.evaluate(TOO_WIDE), "tabs that do not fit are behind a button"
