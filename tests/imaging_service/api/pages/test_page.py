from __future__ import annotations

import re
from html import unescape

import pytest

from imaging_service.api.pages.page import POLICY, error_page
from tests.imaging_service.tenants import RUN, ask

PAGES = (
    "/",
    "/docs",
    "/models",
    "/quality",
    "/screens",
    "/submit",
    "/view/RUN",
    "/view/RUN/plate",
    "/view/RUN/quality",
    "/view/RUN/responses",
    "/view/RUN/curve?line=L1&compound=x&phenotype=live_density",
    "/view/RUN/line?name=L1",
    "/view/RUN/compound?name=x",
    "/view/RUN/wells/B04",
    "/view/RUN/review",
)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_no_script_or_style_of_its_own(site, page):
    answer = site.get(page)
    assert (answer.status_code, answer.headers["content-security-policy"]) == (200, POLICY)
    assert "unsafe" not in POLICY
    scripts = re.findall(r"<script(?![^>]*(?:src=|application/json))", answer.text)
    assert scripts == []
    assert not re.search(r'<style|\sstyle="|\son[a-z]+="', answer.text)


def test_every_link_leads_somewhere(site):
    """Drawn pictures take long and have tests of their own."""
    text = "".join(site.get(page).text for page in PAGES)
    links = {unescape(a).split("#")[0] for a in re.findall(r'(?:src|href)="(/[^"]*)"', text)}
    led = {
        link: site.get(link).status_code
        for link in sorted(links)
        if not re.search("format=(png|svg|parquet)|/screens/", link)
    }
    assert len(led) > 60
    assert {link: status for link, status in led.items() if status != 200} == {}


def test_an_error_says_what_is_wrong_and_what_to_do(site):
    answer = site.get("/view/zzzzzz", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["content-type"]) == (
        404,
        "text/html; charset=utf-8",
    )
    assert answer.headers["content-security-policy"] == POLICY
    assert "zzzzzz" in answer.text


def test_what_the_door_refuses_is_a_page_for_a_browser(made_labs):
    shown = made_labs.shown("other lab") | {"Accept": "text/html,*/*"}
    answer = ask(made_labs.app, "GET", f"/view/{RUN}", shown)
    assert (answer.status_code, answer.headers["content-security-policy"]) == (404, POLICY)
    program = ask(made_labs.app, "GET", f"/view/{RUN}", made_labs.shown("other lab"))
    assert program.headers["content-type"] == "application/problem+json"


def test_an_error_is_text_and_no_markup():
    page = error_page(422, "<b>no</b>").body.decode()
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "<b>no" not in page


def test_what_a_query_may_not_be_is_a_page(site):
    answer = site.get("/view/RUN/wells/B04?field=0")
    assert (answer.status_code, answer.headers["content-type"]) == (
        422,
        "text/html; charset=utf-8",
    )
    assert "field" in answer.text
