"""The page of exports: ordered by a form, followed, downloaded, tried again."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from imaging_service.database.tables import ExportRow
from tests.messages import states


def order(exporting, **form):
    return exporting.screened.ask("POST", "/exports/order", data={"format": "csv", **form})


def page_of(exporting, path="/exports"):
    return exporting.screened.get(path).text


def set_state(exporting, **values):
    with exporting.screened.session() as session:
        session.exec(sa.update(ExportRow).values(**values))
        session.commit()


def row_of(page: str) -> str:
    """Words of the table's only row."""
    (row,) = re.findall(r'<tr id="e-.*?</tr>', page, re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip()


def test_an_export_is_ordered_followed_and_downloaded(exporting):
    run = exporting.screened.runs[0]
    page = page_of(exporting)
    assert states("exports_page.none", page)
    assert page.count(f'value="run:{run}"') == 1
    answer = order(exporting, of=f"run:{run}", table=["wells", "quality"])
    assert answer.status_code == 303
    place, _, mark = answer.headers["location"].partition("#e-")
    assert place == "/exports?project=default"
    page = page_of(exporting)
    assert states("exports_page.queued", page)
    assert 'hx-get="/exports/progress?page=1"' in page
    assert exporting.work(mark) == "done"
    part = page_of(exporting, "/exports/progress")
    assert "hx-get" not in part
    link = re.search(r'download href="([^"]+)"', part)[1]
    answer = exporting.screened.get(link)
    assert (answer.status_code, answer.content[:2]) == (200, b"PK")
    size = exporting.get(mark).json()["size"]
    assert states("exports_page.done", row_of(part), size=f"{size / 1000:.1f} kB")


def test_a_screen_has_its_exports_too(exporting):
    screen = exporting.screened.order(exporting.screened.runs[:2], "ALS").json()["id"]
    assert exporting.screened.work(screen) == "done"
    assert order(exporting, of=f"screen:{screen}").status_code == 303
    page = page_of(exporting, f"/exports?of=screen:{screen}")
    assert f'<option value="screen:{screen}" selected>' in page
    assert states("exports_page.of_a_screen", row_of(page))


def test_what_an_export_does_stands_in_words(exporting):
    order(exporting, of=f"run:{exporting.screened.runs[0]}", table=["wells", "quality"])
    set_state(exporting, state="running", written=1)
    assert states("exports_page.running", row_of(page_of(exporting)))
    set_state(exporting, state="waiting", reason="disk <full>")
    assert states("exports_page.waiting", row_of(page_of(exporting)))
    set_state(exporting, state="failed")
    page = page_of(exporting)
    assert states("exports_page.failed", row_of(page))
    assert "disk <full>" not in page


def test_one_that_failed_is_tried_again_by_its_button(exporting):
    order(exporting, of=f"run:{exporting.screened.runs[0]}", table=["wells"])
    set_state(exporting, state="failed", reason="x")
    sent = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page_of(exporting))
    assert [name for name, _ in sent] == ["of", "format", "table"]
    order(exporting, **dict(sent))
    assert states("exports_page.queued", row_of(page_of(exporting)))


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 422),
        ({"of": "run:"}, 422),
        ({"of": "run:RUN", "format": "xlsx"}, 422),
        ({"of": "run:RUN", "table": "nothing"}, 404),
        ({"of": f"run:{'f' * 64}"}, 404),
    ],
)
def test_an_order_that_cannot_be_is_refused_on_a_page(exporting, form, status):
    form = {k: v.replace("RUN", exporting.screened.runs[0]) for k, v in form.items()}
    answer = order(exporting, **form)
    assert answer.status_code == status
    assert '<p class="notice bad">' in answer.text
    assert states("exports_page.none", page_of(exporting))


def test_the_list_has_pages_and_the_project_s_alone(exporting, monkeypatch):
    monkeypatch.setattr("imaging_service.api.pages.exchange.exports._PER_PAGE", 1)
    for run in exporting.screened.runs:
        order(exporting, of=f"run:{run}")
    pages = [page_of(exporting, f"/exports?page={n}") for n in (1, 2, 3)]
    assert len({re.search(r'<tr id="e-(\w+)', page)[1] for page in pages}) == 3
    assert ["Newer" in p for p in pages] == [False, True, True]
    assert ["Older" in p for p in pages] == [True, True, False]
    assert exporting.screened.get("/exports?project=other").status_code == 404
    assert exporting.screened.get("/exports/progress?project=other").status_code == 404


def test_a_laboratory_sees_no_export_of_another(two_labs):
    with two_labs.session() as session:
        session.add(
            ExportRow(
                id="e" * 16,
                project_id="als",
                run_id="a" * 20,
                source_attempt=1,
                revision=1,
                tables="wells",
                format="csv",
                n_tables=1,
            )
        )
        session.commit()
    seen = [
        two_labs.ask(c, "GET", "/exports").text.count("e-eeee") for c in ("viewer", "other lab")
    ]
    assert seen == [1, 0]
