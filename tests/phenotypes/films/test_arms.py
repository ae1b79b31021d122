"""Which tracks are compared, and what is made of lost ones."""

from __future__ import annotations

import polars as pl
import pytest

from phenotypes.films.arms import (
    TREATED,
    VEHICLE,
    at_risk,
    both_arms,
    lost_fraction,
    supposed,
    with_plate,
)


def tracks(*rows):
    """Rows of (well, batch, entry, exit, event, reason)."""
    names = ("well", "batch", "entry_h", "exit_h", "event", "reason")
    return pl.DataFrame([dict(zip(names, r, strict=True)) for r in rows])


def on_plates(*rows):
    """As `tracks`, of wells that are named by plate and place."""
    return tracks(*rows).with_columns(
        plate=pl.col("well").str.slice(0, 2), well=pl.col("well").str.slice(3)
    )


ALIVE = (0.0, 96.0, False, "end_of_study")


def test_a_plate_is_named_by_its_column_or_before_the_place():
    table = tracks(("4f2a B03", "b", *ALIVE), ("B03", "b", *ALIVE), ("vehicle 1", "b", *ALIVE))
    assert with_plate(table)["plate"].to_list() == ["4f2a", "", ""]
    named = table.with_columns(plate=pl.lit("p"))
    assert with_plate(named)["plate"].to_list() == ["p", "p", "p"]


def test_plates_and_batches_with_one_arm_take_no_part():
    vehicle = on_plates(
        ("p1 A01", "b1", *ALIVE),
        ("p2 A01", "b1", *ALIVE),
        ("p3 A01", "b2", *ALIVE),
        ("p1 A02", None, *ALIVE),
    )
    arm = on_plates(("p1 A03", "b1", *ALIVE), ("p4 A03", "b2", *ALIVE), ("p1 A04", None, *ALIVE))
    both = both_arms(vehicle, arm)
    assert both.select("plate", "batch", "treated").rows() == [
        ("p1", "b1", 0.0),
        ("p1", "", 0.0),
        ("p1", "b1", 1.0),
        ("p1", "", 1.0),
    ]
    assert both["stratum"].n_unique() == 2
    assert both["well"].n_unique() == 4
    assert both_arms(vehicle, arm.filter(pl.col("plate") == "p4")).is_empty()


def test_wells_of_one_name_on_two_plates_are_two():
    vehicle, arm = (
        tracks((w, "b", *ALIVE), (w, "b", *ALIVE)).with_columns(plate=pl.Series(["p1", "p2"]))
        for w in ("A01", "A02")
    )
    assert both_arms(vehicle, arm)["well"].n_unique() == 4


@pytest.mark.parametrize("reason", ["lost", "left_field", "identity_conflict", "focus_failure"])
def test_what_is_made_of_a_lost_neuron(reason):
    table = tracks(
        ("A01", "b", 0.0, 24.0, False, reason),
        ("A01", "b", 12.0, 12.0, False, reason),
        ("A01", "b", 0.0, 36.0, True, ""),
        ("A01", "b", 0.0, 96.0, False, "end_of_study"),
    )
    assert lost_fraction(table) == 0.5
    both = pl.concat([table.with_columns(treated=pl.lit(z)) for z in (VEHICLE, TREATED)])
    died = ([24, 12.001, 36, 96], [True, True, True, False])
    lived = ([72, 72, 36, 96], [False, False, True, False])
    for arms, expected in (
        ((VEHICLE, TREATED), (died, died)),
        ((), (lived, lived)),
        ((TREATED,), (lived, died)),
        ((VEHICLE,), (died, lived)),
    ):
        case = supposed(both, 72.0, arms)
        for z, (hours, events) in zip((VEHICLE, TREATED), expected, strict=True):
            of_arm = case.filter(treated=z)
            assert of_arm["exit_h"].to_list() == pytest.approx(hours)
            assert of_arm["event"].to_list() == events
    assert at_risk(table)["exit_h"].to_list() == [24, 36, 96]
