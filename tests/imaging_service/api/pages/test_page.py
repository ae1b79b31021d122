from __future__ import annotations

import re
from html import unescape

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.api.pages import ROUTERS
from imaging_service.api.pages.page import POLICY, error_page
from imaging_service.api.pages.reading import Reading
from imaging_service.database.session import database_engine
from imaging_service.errors import StoreError
from phenotypes.columns.status_words import STATUS_WORDS
from tests.imaging_service.tenants import RUN, ask

PAGES = (
    "/",
    "/docs",
    "/models",
    "/quality",
    "/screens",
    "/exports",
    "/offers",
    "/submit",
    "/line",
    "/line?name=L1",
    "/compound?name=x",
    "/view/RUN",
    "/view/RUN/plate",
    "/view/RUN/quality",
    "/view/RUN/responses",
    "/view/RUN/curve?line=L1&compound=x&phenotype=live_density",
    "/view/RUN/line?name=L1",
    "/view/RUN/compound?name=x",
    "/view/RUN/wells/B04",
    "/view/RUN/review",
    "/account/keys",
    "/account/members",
    "/account/projects",
    "/account/audit",
)


def test_a_submission_links_to_the_calls_that_make_it(site, small_inputs):
    page = site.get(f"/submit/scan?scan={small_inputs.scan}")
    assert page.status_code == 200
    assert calls_of(page.text) >= {
        "/docs#submit_runs_post",
        "/docs#begin_upload_uploads_post",
    }


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_no_script_or_style_of_its_own(site, page):
    answer = site.get(page)
    assert (answer.status_code, answer.headers["content-security-policy"]) == (200, POLICY)
    assert "unsafe" not in POLICY
    scripts = re.findall(r"<script(?![^>]*(?:src=|application/json))", answer.text)
    assert scripts == []
    assert not re.search(r'<style|\sstyle="|\son[a-z]+="', answer.text)


def test_a_page_shows_words_and_not_the_codes_of_tables(site):
    """Names of columns stay what they are; a status, or the code of a remark, is said."""
    codes = {code for code in STATUS_WORDS if "_" in code}
    shown = {}
    for page in PAGES:
        # The API's page is for programs.
        if page != "/docs":
            text = re.sub(r"<script.*?</script>|<code>.*?</code>|<[^>]+>", " ", site.get(page).text)
            shown[page] = codes & set(re.findall(r"\w+", text))
    assert {page: found for page, found in shown.items() if found} == {}


def test_a_value_that_is_missing_says_why(site):
    """A dash alone would leave open whether a thing was not measured, refused or forgotten."""
    bare, hints = {}, set()
    for page in (*PAGES, "/view/RUN/wells/B02", "/view/RUN/wells/C04", "/runs/RUN/report"):
        text = site.get(page).text
        entries = re.findall(r"<td[^>]*>(.*?)</td>", text, re.DOTALL)
        bare[page] = [
            e for e in entries if re.sub("<[^>]+>", "", e).strip() == "–" and "title" not in e
        ]
        hints |= set(re.findall(r'<span class="none" title="([^"]*)">', text))
    assert {page: found for page, found in bare.items() if found} == {}
    assert "" not in hints
    assert any(hint.startswith("no vehicle wells: ") for hint in hints)


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


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("path", "status", "heading"),
    [
        ("/no/such/page", 404, "Not found"),
        ("/view/RUN/retry", 405, "Not possible"),
        ("/view/RUN/wells/H12", 404, "Not found"),
        ("/view/RUN/line?name=L9", 404, "Not found"),
        ("/view/RUN/plate?page=0", 422, "Refused"),
    ],
)
def test_a_wrong_address_is_a_page_with_a_way_back(site, path, status, heading):
    answer = site.get(path, headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "text/html; charset=utf-8",
    )
    assert f"<h1>{heading}</h1>" in answer.text
    assert '<a href="/">All runs</a>' in answer.text
    assert (f'<a href="/view/{site.run}">The run</a>' in answer.text) is (
        "RUN" in path and status != 405
    )
    assert site.get("/no/such/page").headers["content-type"] == "application/problem+json"


def test_a_button_that_the_role_does_not_allow_is_answered_by_a_page(made_labs):
    shown = made_labs.shown("viewer") | BROWSER
    answer = ask(made_labs.app, "POST", f"/view/{RUN}/cancel", shown)
    assert (answer.status_code, answer.headers["content-security-policy"]) == (403, POLICY)
    assert "<h1>Not allowed</h1>" in answer.text
    signed_out = ask(made_labs.app, "POST", f"/view/{RUN}/cancel", BROWSER)
    assert (signed_out.status_code, signed_out.headers["location"]) == (303, "/login?to=/")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(5, "Input/output error"), 503),
        (sa.exc.OperationalError("SELECT", {}, Exception("database is locked")), 503),
        (sa.exc.TimeoutError("no connection is left"), 503),
        (StoreError("the store is damaged at B04"), 500),
        (ZeroDivisionError("secret"), 500),
    ],
)
def test_a_page_that_fails_is_a_page(site, monkeypatch, error, status):
    def fail(*_):
        raise error

    monkeypatch.setattr(Reading, "table", fail)
    answer = site.get("/view/RUN/plate?order=low")
    assert (answer.status_code, answer.headers["content-security-policy"]) == (status, POLICY)
    assert "secret" not in answer.text
    assert ("B04" in answer.text) is isinstance(error, StoreError)


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


KEPT = [p for p in PAGES if p.startswith("/view/RUN") and "/wells" not in p and "/review" not in p]


@pytest.mark.parametrize("page", KEPT)
def test_a_page_of_a_finished_run_is_made_once_and_not_sent_to_who_has_it(site, monkeypatch, page):
    first = site.get(page)
    monkeypatch.setattr(Reading, "table", None)
    again = site.get(page)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    held = site.get(page, headers={"If-None-Match": first.headers["etag"]})
    assert (held.status_code, held.content) == (304, b"")
    assert held.headers["cache-control"] == "private, no-cache"


def test_another_address_and_another_state_of_the_run_are_other_pages(served):
    def tag(change="", tail=""):
        if change:
            with Session(database_engine(served.settings.url)) as session:
                session.connection().execute(sa.text(f"UPDATE run SET {change}"))
                session.commit()
        return served.get(f"/view/RUN{tail}").headers["etag"]

    tags = [
        tag(),
        tag(tail="?of=another"),
        tag("review_reason='the disk is full'"),
        tag("review_reason='', map_version=7"),
        tag("map_version=1, attempt=2"),
        tag("attempt=1, priority='high'"),
        tag("priority='normal', notes='[\"a file is empty\"]'"),
    ]
    assert [tags.index(t) for t in tags] == list(range(7))
    assert tag() == tags[-1]


# Parts of a page that its script asks for, and files that it shows or hands out.
PARTS = {
    "/assets/{name:path}",
    "/exports/progress",
    "/runs/{run}/charts/{name}",
    "/screens/{screen}/progress",
    "/screens/{screen}/report",
    "/screens/{screen}/tables/{table}.{fmt}",
    "/view/{run}/agreement",
    "/view/{run}/progress",
    "/view/{run}/wells/{well}/fields/{field}/cell",
    "/view/{run}/wells/{well}/fields/{field}/{layer}/{level}/{row}/{column}.png",
}
# Page ► what to ask after the path's own parts, and the API call that it links to.
API_CALLS = {
    "/": ("", "/runs"),
    "/account/audit": ("", "/audit"),
    "/account/keys": ("", "/keys"),
    "/account/members": ("", "/members?lab=local"),
    "/account/projects": ("", "/projects"),
    "/compound": ("?name=x", "/responses?compound=x&newest=true&order=evidence"),
    "/docs": ("", "/openapi.json"),
    "/exports": ("", "/projects/default/exports"),
    "/line": ("?name=L1", "/responses?line=L1&newest=true&order=evidence"),
    "/models": ("", "/engines/own"),
    "/offers": ("", "/releases"),
    "/quality": ("", "/runs"),
    "/screens": ("", "/projects/default/screens"),
    "/screens/{screen}": ("?project=default", "/projects/default/screens/SCREEN"),
    "/submit": ("", "/docs#submit_runs_post"),
    "/submit/scan": ("?scan=SCAN", "/docs#submit_runs_post"),
    "/view/{run}": ("", "/runs/RUN"),
    "/view/{run}/compound": ("?name=x", "/runs/RUN/responses?compound=x&order=evidence"),
    "/view/{run}/curve": (
        "?line=L1&compound=x&phenotype=live_density",
        "/runs/RUN/responses?line=L1&compound=x&phenotype=live_density",
    ),
    "/view/{run}/line": ("?name=L1", "/runs/RUN/responses?line=L1&order=evidence"),
    "/view/{run}/plate": ("", "/runs/RUN/wells"),
    "/view/{run}/quality": ("", "/runs/RUN/checks?order=finding"),
    "/view/{run}/responses": ("", "/runs/RUN/responses?order=evidence"),
    "/view/{run}/review": ("", "/runs/RUN/review"),
    "/view/{run}/wells/{well}": ("", "/runs/RUN/tables/wells?where=well%3D%3DB04"),
}


def calls_of(page: str) -> set[str]:
    """Addresses of the links of a page that are called API calls."""
    links = re.findall(r'<a[^>]* href="([^"]+)"[^>]*>(.*?)</a>', page, re.DOTALL)
    named = re.compile(r"\(API\)|^(GET|POST) |OpenAPI")
    return {unescape(href) for href, text in links if named.search(re.sub("<[^>]+>", "", text))}


def test_every_page_is_listed_with_its_api_call():
    routes = [route for router in ROUTERS for route in router.routes]
    pages = {route.path for route in routes if "GET" in route.methods}
    assert pages == set(API_CALLS) | PARTS


@pytest.mark.parametrize("path", sorted(set(API_CALLS) - {"/screens/{screen}"}))
def test_a_page_links_to_the_api_call_that_gives_it(site, small_inputs, path):
    more, call = API_CALLS[path]
    address = path.replace("{run}", site.run).replace("{well}", "B04") + more
    page = site.get(address.replace("SCAN", str(small_inputs.scan)))
    assert page.status_code == 200
    calls = calls_of(page.text)
    assert call.replace("RUN", site.run) in calls
    if not call.startswith("/docs"):
        assert site.get(call.replace("RUN", site.run)).status_code == 200


def test_a_screen_links_to_its_api_call_while_it_waits_and_once_it_is_done(screened):
    screen = screened.order(screened.runs).json()["id"]
    more, call = API_CALLS["/screens/{screen}"]
    for _ in range(2):
        page = screened.get(f"/screens/{screen}{more}").text
        assert call.replace("SCREEN", screen) in calls_of(page)
        screened.work(screen)
