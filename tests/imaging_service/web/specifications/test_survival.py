"""The chart of survival: its arms, its bands, the neurons at risk."""

from __future__ import annotations

import polars as pl
import pytest

from imaging_service.web.specifications.survival import arms_of, pairs_by_evidence, survival_chart
from tests.messages import states


def tracks():
    """Two vehicle wells and two of each dose; at the higher dose half die at 12 h."""
    rows = []
    for well, compound, dose, control, dies in (
        ("B02", "DMSO", 0.0, "vehicle", 0),
        ("B03", "DMSO", 0.0, "vehicle", 0),
        ("B04", "x", 1e-6, "none", 1),
        ("B05", "x", 1e-6, "none", 1),
        ("B06", "x", 1e-7, "none", 0),
        ("B07", "x", 1e-7, "none", 0),
    ):
        for number in range(4):
            event = bool(dies) and number < 2
            rows.append(
                {
                    "well": well,
                    "line": "L1",
                    "compound": compound,
                    "dose_molar": dose,
                    "control": control,
                    "entry_h": 0.0,
                    "exit_h": 12.0 if event else 24.0,
                    "event": event,
                    "reason": "" if event else "end_of_study",
                    "included": True,
                }
            )
    return pl.DataFrame(rows)


def test_arms_are_vehicle_and_doses_from_the_lowest_and_rows_left_out_do_not_count():
    poison = tracks().filter(well="B04").with_columns(included=False, exit_h=99.0)
    other = tracks().with_columns(line=pl.lit("L2"), exit_h=99.0)
    arms = arms_of(pl.concat([tracks(), poison, other]), "L1", "x")
    assert [(a.name, a.curve.tracks, a.curve.events) for a in arms] == [
        ("vehicle", 8, 0),
        ("100 nM", 8, 0),
        ("1 µM", 8, 4),
    ]
    assert [a.hours for a in arms] == [[0.0, 12.0, 24.0]] * 3
    assert [a.at_risk for a in arms] == [[8, 8, 8], [8, 8, 8], [8, 8, 4]]
    survival, low, high = arms[2].end
    assert survival == 0.5
    assert low == pytest.approx(1 - high, abs=0.2)
    assert arms[0].end == (1.0, None, None)
    assert (arms[0].median, arms[2].median[0]) == ((None, None, None), 12.0)


def test_pairs_are_in_the_order_of_the_end_of_an_interval_that_is_nearer_to_one():
    def row(compound, low, high):
        return {"line": "L1", "compound": compound, "hr_low": low, "hr_high": high}

    rows = [
        row("unclear", 0.5, 90.0),
        row("none", None, None),
        row("harms", 1.5, 2.0),
        row("protects", 0.1, 0.2),
        row("unclear", 1.1, 9.0),
        row("open", 0.0, 0.9),
    ]
    assert [compound for _, compound in pairs_by_evidence(rows)] == [
        "protects",
        "harms",
        "open",
        "unclear",
        "none",
    ]


def test_the_chart_has_steps_with_bands_and_the_numbers_at_risk():
    steps, numbers = survival_chart(arms_of(tracks(), "L1", "x"), "L1", "x")["vconcat"]
    (banded,) = [v for v in steps["data"]["values"] if v["low"] is not None and v["until"]]
    assert (banded["arm"], banded["hours"], banded["until"], banded["survival"]) == (
        "1 µM",
        12.0,
        24.0,
        50.0,
    )
    assert [v["n"] for v in numbers["data"]["values"]] == [8, 8, 8, 8, 8, 8, 8, 8, 4]


def test_the_title_says_what_the_bands_are_between():
    def title(table):
        return survival_chart(arms_of(table, "L1", "x"), "L1", "x")["title"]["subtitle"]

    assert states("survival_chart.between", title(tracks()), what="wells")
    one_each = tracks().filter(pl.col("well").is_in(["B02", "B04", "B06"]))
    assert states("survival_chart.between", title(one_each), what="neurons of one well")


def test_many_time_points_are_thinned_under_the_chart():
    long = tracks().with_columns(exit_h=pl.int_range(pl.len()).cast(pl.Float64) + 1)
    hours = arms_of(long, "L1", "x")[0].hours
    assert (len(hours), hours[0], hours[-1]) == (7, 0.0, 24.0)


def test_without_a_treated_arm_there_is_nothing_to_draw():
    assert survival_chart(arms_of(tracks(), "L1", "y"), "L1", "y") == {}
    assert survival_chart(arms_of(tracks(), "L3", "x"), "L3", "x") == {}
