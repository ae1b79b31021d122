from __future__ import annotations

from datetime import UTC, datetime

from imaging_service.web.pages import over_runs
from imaging_service.web.pages.over_runs import Everywhere, by_plate, forest_rows

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def row(run, plate="P", **more):
    return {
        "run": run,
        "plate": plate,
        "line": "L1",
        "compound": "x",
        "phenotype": "p",
        "status": "ok",
        "q_value": 0.01,
        "effect": 1.0,
    } | more


def test_rows_count_for_their_run():
    wells = [
        {"run": run, "plate": "P", "submitted_at": DAY, "protocol": "q", "well": well}
        for run, well in (("2", "B02"), ("2", "B03"), ("1", "B02"))
    ]
    rows = [row("1"), row("2"), row("2", q_value=0.3), row("3")]
    plates = by_plate(wells, rows)
    assert [(p.run, len(p.wells), p.rows, p.responding) for p in plates] == [
        ("2", 2, 2, 1),
        ("1", 1, 1, 1),
    ]


def test_a_forest_tells_runs_of_one_plate_apart(monkeypatch):
    rows = [row("11111111111", "B"), row("2" * 11, "A"), row("3" * 11, "B"), row("4", effect=None)]
    assert [r["label"] for r in forest_rows(rows, "p", "compound")] == [
        "x · A",
        "x · B (11111111)",
        "x · B (33333333)",
    ]
    assert forest_rows(rows, "other", "compound") == []
    monkeypatch.setattr(over_runs, "MOST_INTERVALS", 2)
    assert forest_rows(rows, "p", "compound") == []


def test_addresses_are_quoted():
    of = row("r", line="a&b")
    assert Everywhere().line_page("a&b") == "/line?name=a%26b"
    assert Everywhere().compound_page("x y") == "/compound?name=x+y"
    assert Everywhere().curve_page(of) == "/view/r/curve?line=a%26b&compound=x&phenotype=p"
    assert Everywhere().plate_page(of) == "/view/r"
