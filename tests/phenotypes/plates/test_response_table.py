"""The response table of a notebook: what each cell shows, and that no text of a plate is markup."""

from __future__ import annotations

import re
from html import unescape

import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.plates.response_table import MOST_ROWS, html_table
from phenotypes.plates.responses import Responses
from tests.messages import states

FITTED = {
    "line": "ALS-1",
    "compound": "riluzole",
    "phenotype": "live_density",
    "status": "ok",
    "ec50_molar": 3.14159e-7,
    "ec50_low": 1e-7,
    "ec50_high": 1.2e-6,
    "effect": 41.0,
    "effect_low": -2.5,
    "effect_high": 80.25,
    "unit": "% of vehicle",
    "q_value": 0.01234,
    "reason": "",
}


def shown(*rows):
    table = conform(
        pl.DataFrame([FITTED | row for row in rows], infer_schema_length=None), "response"
    )
    return html_table(Responses(table, table, ()))


def cells(html):
    """Row by row, the text of each cell as a browser shows it."""
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        for row in re.findall(r"<tr.*?</tr>", body)
    ]


def test_a_row_shows_its_numbers_with_their_intervals():
    html = shown({})
    assert cells(html) == [
        [
            "ALS-1",
            "riluzole",
            "live_density",
            "ok",
            "314 nM (100 nM to 1.2 µM)",
            "41 (-2.5 to 80.2)",
            "% of vehicle",
            "0.0123",
            "",
        ]
    ]
    assert re.findall(r"<th [^>]*>(.*?)</th>", html) == [
        "line",
        "compound",
        "phenotype",
        "status",
        "EC50 (95 %)",
        "effect (95 %)",
        "unit",
        "q",
        "reason",
    ]
    assert states("responses.counted", html, rows=1, ok=1)
    assert "…" not in html


def test_what_is_not_known_is_a_dash_and_an_open_end_stays_open():
    numbers = dict.fromkeys([name for name in FITTED if name.startswith(("ec50", "effect", "q"))])
    refused, half_open = cells(
        shown(
            numbers | {"status": "too_few_doses", "reason": "3 doses", "unit": None},
            {"ec50_high": None},
        )
    )
    assert refused[3:] == ["too_few_doses", "–", "–", "", "–", "3 doses"]
    assert half_open[4] == "314 nM (100 nM to –)"


def test_rows_without_a_fit_are_pale():
    html = shown({}, {"status": "flat"}, {"status": "not_determined"})
    assert html.count("<tr style='opacity:0.65'>") == 2
    assert html.index("<tr><td style='text-align:left'>ALS-1") < html.index("opacity")


@pytest.mark.parametrize(
    ("molar", "text"),
    [
        (2.5, "2.5 M"),
        (1.0, "1 M"),
        (1e-3, "1 mM"),
        (0.05, "50 mM"),
        # Three digits: what would be shown as 1000 nM is 1 µM.
        (0.9996e-6, "1 µM"),
        (0.9994e-6, "999 nM"),
        (7e-12, "7 pM"),
        (7e-15, "0.007 pM"),
    ],
)
def test_a_dose_has_the_unit_that_it_is_spoken_of_in(molar, text):
    dose = dict.fromkeys(("ec50_molar", "ec50_low", "ec50_high"), molar)
    assert cells(shown(dose))[0][4] == f"{text} ({text} to {text})"


def test_a_long_table_is_cut_and_the_count_of_what_is_left_out_is_exact():
    rows = [{"compound": f"c{i}"} for i in range(MOST_ROWS + 3)]
    html = shown(*rows)
    assert [row[1] for row in cells(html)] == [f"c{i}" for i in range(MOST_ROWS)]
    assert states("responses.cut", html, rows=3)
    assert "…" not in shown(*rows[:MOST_ROWS])


@pytest.mark.parametrize("column", ["line", "compound", "phenotype", "status", "unit", "reason"])
def test_text_of_a_plate_is_text(column):
    hostile = "<img src=x onerror='a()'> & \"b\""
    html = shown({column: hostile})
    assert hostile in cells(html)[0]
    assert "<img" not in html
    assert "&lt;img src=x onerror=&#x27;a()&#x27;&gt; &amp; &quot;b&quot;" in html
