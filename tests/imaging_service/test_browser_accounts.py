"""Sign-in and the pages of keys, members, projects and the audit log in a browser."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.imaging_service.browser_pages import DESK, PHONE, Tab, browsing, serving

PAGES = ("keys", "members", "projects", "audit")


@pytest.fixture(scope="module")
def opened(made_labs, tmp_path_factory):
    """(open a tab that is signed in, the service's address) with one browser for the module."""
    labs = made_labs.copy(tmp_path_factory.mktemp("browser"))

    with serving(labs.app) as address, browsing() as browser:

        def tab(caller="administrator", **more):
            made = Tab(browser, address, token="", **more)
            made.page.goto("/login?to=/account/keys")
            # Filled, not typed: keys that are typed before the field has the focus are lost.
            field = made.page.locator("input[name=key]")
            field.fill(labs.keys[caller])
            field.press("Enter")
            made.page.wait_for_url(f"{address}/account/keys")
            return made

        yield tab, address
    labs.close()


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [(DESK, "light"), (DESK, "dark"), (PHONE, "light")],
    ids=["desk", "dark", "phone"],
)
def test_a_key_signs_in_and_the_pages_are_clean_to_axe(opened, viewport, scheme):
    open_tab, _ = opened
    tab = open_tab(viewport=viewport, scheme=scheme)
    wrong = {}
    for name in PAGES:
        tab.page.goto(f"/account/{name}")
        wide = tab.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        faults = [*tab.faults, *tab.violations(), *(["wider than the screen"] if wide > 1 else [])]
        if faults:
            wrong[name] = faults
        tab.faults.clear()
    tab.close()
    assert wrong == {}


def test_a_key_is_made_and_revoked_by_keyboard_alone(opened):
    open_tab, address = opened
    tab = open_tab("operator")
    page = tab.page
    page.locator("input[name=name]").focus()
    page.keyboard.type("laptop")
    page.keyboard.press("Enter")
    shown = page.locator("#made input")
    shown.wait_for()
    secret = shown.input_value()
    shown_by = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{address}/session", headers=shown_by).status_code == 200
    assert tab.violations() == []
    page.get_by_role("link", name="I have copied it").focus()
    page.keyboard.press("Enter")
    page.locator("#made").wait_for(state="detached")
    assert re.search(r"mns_\w+", page.content()) is None
    page.locator("summary[aria-label='Revoke key laptop']").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert httpx.get(f"{address}/session", headers=shown_by).status_code == 401
    assert tab.faults == []
    tab.close()


def test_a_member_is_added_and_the_log_has_it(opened):
    open_tab, _ = opened
    tab = open_tab()
    page = tab.page
    page.goto("/account/members")
    page.get_by_label("Name: the author of reviews").fill("Ada")
    page.get_by_role("button", name="Add the member").click()
    page.get_by_role("button", name="Save the role of Ada").wait_for()
    page.get_by_role("link", name="Audit log").click()
    page.get_by_label("Action contains").fill("POST /account/members")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**action=POST*")
    assert page.locator("tbody tr").count() == 2
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = download.value.path().read_text().splitlines()
    assert [row.split(",")[6:9:2] for row in rows[1:]] == [
        ["POST /account/members", "begun"],
        ["POST /account/members", "303"],
    ]
    assert tab.faults == []
    tab.close()
