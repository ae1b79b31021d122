"""The page of the audit log: filters, pages, and an export of what is seen."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from imaging_service.access.audit import note
from imaging_service.api.pages.account import audit
from imaging_service.database.tenants import AuditRow
from tests.messages import states

PLACE = "/account/audit"


@pytest.fixture
def noted(two_labs):
    """Seven entries of laboratory `alpha`, one of `beta`."""
    with two_labs.session() as session:
        for number in range(6):
            note(session, "Ada", "POST /runs", f"run{number}", lab="alpha", project="als")
        note(session, "Bob <b>", "DELETE /keys/{key}", "k%_", lab="alpha", outcome="403")
        note(session, "Eve", "POST /runs", "foreign", lab="beta", project="ftd")
        session.add(
            AuditRow(
                actor="Old",
                action="POST /runs",
                object="before",
                lab_id="alpha",
                outcome="202",
                time=datetime(2020, 1, 31, 23, 59, tzinfo=UTC),
            )
        )
        session.commit()
    return two_labs


def objects(page):
    return re.findall(r"<td><code>(run\d|k%_|foreign|before)</code></td>", page.text)


def seen(labs, query="", caller="administrator"):
    return objects(labs.ask(caller, "GET", f"{PLACE}?{query}"))


def test_entries_of_the_laboratory_are_there_newest_first(noted):
    assert seen(noted) == ["before", "k%_", *(f"run{n}" for n in range(5, -1, -1))]
    assert seen(noted, caller="service", query="actor=Eve") == ["foreign"]
    page = noted.ask("administrator", "GET", PLACE).text
    assert page.count("Bob &lt;b&gt;") == 1
    assert '<span class="tag failed">403</span>' in page


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("actor=Bob+%3Cb%3E", ["k%_"]),
        ("project=als&subject=run3", ["run3"]),
        ("action=DELETE", ["k%_"]),
        ("subject=%25_", ["k%_"]),
        ("subject=%25", ["k%_"]),
        ("until=2020-01-31", ["before"]),
        ("since=2020-02-01&action=DELETE", ["k%_"]),
        ("since=2020-01-31&until=2020-01-31", ["before"]),
        ("actor=Eve", []),
        ("actor=&since=&until=&subject=before", ["before"]),
    ],
)
def test_filters_choose_entries_for_the_page_and_for_the_export(noted, query, wanted):
    assert seen(noted, query) == wanted
    csv = noted.ask("administrator", "GET", f"/audit?format=csv&{query}").text
    assert [o for o in ("k%_", "before", "run3", "foreign") if o in csv] == wanted


def test_a_long_log_is_read_page_by_page(noted, monkeypatch):
    monkeypatch.setattr(audit, "_PER_PAGE", 3)
    page, given = noted.ask("administrator", "GET", f"{PLACE}?action=runs"), []
    while True:
        given.append(objects(page))
        link = re.search(r'rel="next" href="([^"]+)"', page.text)
        if link is None:
            break
        page = noted.ask("administrator", "GET", link[1].replace("&amp;", "&"))
    assert given == [["before", "run5", "run4"], ["run3", "run2", "run1"], ["run0"]]


@pytest.mark.parametrize("query", ["since=yesterday", "before=0", f"actor={'a' * 201}"])
def test_a_filter_that_cannot_be_is_a_page_that_says_so(noted, query):
    answer = noted.ask("administrator", "GET", f"{PLACE}?{query}")
    assert answer.status_code == 422
    assert '<p class="notice' in answer.text


def test_a_service_in_which_nothing_was_changed_speaks_of_no_filter(served):
    assert states("audit_page.nothing_yet", served.get(PLACE).text)
    assert states("audit_page.no_entry_fits", served.get(f"{PLACE}?actor=x").text)
