from __future__ import annotations

import polars as pl

from phenotypes.screens.batches.effect_doses import dose_ranges, effect_doses


def planned(rows, batch=True):
    table = pl.DataFrame(rows, schema=["line", "compound", "batch", "dose_molar"], orient="row")
    return table if batch else table.drop("batch")


def ladder(line, batches, doses):
    return [(line, "x", b, d) for b in batches for d in doses]


def test_lines_are_compared_at_the_highest_dose_that_all_were_given():
    rows = ladder("A", "12", [1e-6, 1e-5]) + ladder("B", "12", [1e-6, 1e-5, 1e-4])
    assert effect_doses(planned(rows), {}) == {"x": 1e-5}
    assert effect_doses(planned(rows, batch=False), {}) == {"x": 1e-5}
    assert effect_doses(planned(rows), {"x": 1e-6}) == {"x": 1e-6}


def test_an_extra_dose_in_one_batch_is_not_one_to_compare_at():
    """It made every row of the screen `one_batch`."""
    rows = [
        row
        for line in "AB"
        for row in ladder(line, "12", [1e-6, 1e-5]) + ladder(line, "3", [1e-6, 1e-5, 1e-4])
    ]
    assert effect_doses(planned(rows), {}) == {"x": 1e-5}
    assert effect_doses(planned(rows, batch=False), {}) == {"x": 1e-4}


def test_a_dose_in_most_batches_is():
    rows = [
        row for line in "AB" for row in ladder(line, "1", [1e-6]) + ladder(line, "23", [1e-6, 1e-5])
    ]
    assert effect_doses(planned(rows), {}) == {"x": 1e-5}


def test_where_no_dose_is_in_most_batches_the_highest_common_one_stands():
    rows = [
        ("A", "x", "1", 1e-6),
        ("A", "x", "2", 1e-5),
        ("B", "x", "1", 1e-6),
        ("B", "x", "2", 1e-5),
    ]
    assert effect_doses(planned(rows), {}) == {"x": 1e-5}


def test_lines_without_a_common_dose_have_none():
    rows = ladder("A", "12", [1e-6]) + ladder("B", "12", [1e-5])
    assert effect_doses(planned(rows), {}) == {}
    assert dose_ranges(planned(rows)) == {}


def test_the_common_range_lies_within_every_lines():
    rows = ladder("A", "1", [1e-8, 1e-6, 1e-5]) + ladder("B", "1", [1e-7, 1e-4])
    assert dose_ranges(planned(rows)) == {"x": (1e-7, 1e-5)}
