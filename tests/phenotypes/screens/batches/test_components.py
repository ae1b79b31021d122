from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.screens.batches.components import NotEstimableError, variance_components
from phenotypes.screens.conditions import plate_effects
from tests.messages import says, states
from tests.phenotypes.drawn_screens import component_wells

DOSES = {f"c{c:02d}": 1e-6 for c in range(60)}


def components(wells, **more):
    return variance_components(
        plate_effects(wells, ["live_density"]), "live_density", DOSES, **more
    )


def test_all_parts_are_recovered():
    rng = np.random.default_rng(1)
    effects = np.r_[np.full(20, -1.0), np.zeros(20)]
    drawn = component_wells(
        rng, lines=16, compounds=40, batches=5, donor_sd=0.25, vehicle_sd=0.3, effects=effects
    )
    parts = components(drawn, working={f"c{c:02d}" for c in range(20)})
    assert 0.13 < parts.batch**0.5 < 0.17  # 0.15
    assert 0.08 < parts.line**0.5 < 0.12  # 0.10
    assert 0.19 < parts.wells**0.5 < 0.21  # 0.20
    assert 0.28 < parts.vehicles**0.5 < 0.32  # 0.30
    assert 0.22 < parts.donors.variance**0.5 < 0.28  # 0.25
    assert states("components.of_hits", parts.donors.compounds)
    total = 0.15**2 + 0.1**2 + 0.2**2 / 4 + 0.3**2 / 16
    assert 0.9 * total < parts.total < 1.1 * total
    assert (parts.arms, parts.doses, parts.n_wells, parts.n_vehicles) == (40, 1, 4, 16)
    assert (parts.n_lines, parts.n_compounds, parts.n_rows) == (16, 40, 640)
    # Rows that move together are worth fewer than 640 × 4 degrees of freedom.
    assert 300 < parts.freedom < 1500


def test_parts_without_bias_in_small_screens():
    rng = np.random.default_rng(2)
    batch, line, donor = np.transpose(
        [
            (p.batch, p.line, p.donors.variance)
            for p in (
                components(
                    component_wells(
                        rng,
                        lines=4,
                        compounds=24,
                        batches=3,
                        donor_sd=0.2,
                        effects=np.full(24, -1.0),
                    )
                )
                for _ in range(40)
            )
        ]
    )
    assert 0.88 * 0.15**2 < batch.mean() < 1.12 * 0.15**2
    assert 0.88 * 0.1**2 < line.mean() < 1.12 * 0.1**2
    assert 0.88 * 0.2**2 < donor.mean() < 1.12 * 0.2**2


def test_batches_that_lines_do_not_share_leave_nothing_shared():
    rng = np.random.default_rng(3)
    drawn = component_wells(rng, lines=6, compounds=30, batch_sd=0.15, line_sd=0.1)
    # Every line in batches of its own, so that what they share cannot be seen.
    alone = drawn.with_columns(batch=pl.col("line") + "-" + pl.col("batch"))
    parts = components(alone)
    assert parts.batch == 0
    assert 0.14 < parts.line**0.5 < 0.22  # √(0.15² + 0.10²) = 0.18
    assert parts.donors is None
    assert states("components.batches_not_shared", parts.no_donors)


def test_donors_are_of_all_compounds_where_too_few_work():
    drawn = component_wells(np.random.default_rng(4), lines=5, compounds=12)
    parts = components(drawn, working={"c00"})
    assert parts.donors.compounds == "all compounds"
    assert parts.donors.variance < 0.05**2


def test_healthy_lines_and_lines_of_one_donor():
    drawn = component_wells(np.random.default_rng(5), lines=6, compounds=12)
    healthy = {"L03", "L04", "L05"}
    assert components(drawn, healthy=healthy).donors.n_donors == 3
    same = {"L00": "D", "L01": "D"}
    parts = components(drawn, healthy=healthy, donors=same)
    assert parts.donors is None
    assert states("components.too_few_donors", parts.no_donors, n=2, least=3)


def test_one_batch_is_refused():
    drawn = component_wells(np.random.default_rng(6), lines=3, batches=1)
    with pytest.raises(NotEstimableError, match=says("components.one_batch")):
        components(drawn)


def test_too_few_rows_are_refused():
    drawn = component_wells(np.random.default_rng(7), lines=3, compounds=3)
    with pytest.raises(NotEstimableError, match=says("components.too_few_rows", rows=9)):
        components(drawn)


def test_many_lines_under_one_compound_are_refused():
    """Twenty lines in three batches that move them alike are not twenty measurements."""
    drawn = component_wells(
        np.random.default_rng(8), lines=20, compounds=1, batches=3, batch_sd=0.5, line_sd=0.02
    )
    with pytest.raises(NotEstimableError, match=says("components.rows_move_together")):
        components(drawn)


def test_wells_without_replicates_are_refused():
    drawn = component_wells(np.random.default_rng(9), wells=1)
    with pytest.raises(NotEstimableError, match=says("components.not_replicated")):
        components(drawn)


def test_wells_of_one_value_are_refused():
    drawn = component_wells(np.random.default_rng(9), wells=2, well_sd=0.0)
    with pytest.raises(NotEstimableError, match=says("components.wells_agree")):
        components(drawn)


def test_a_phenotype_that_was_not_measured_is_refused():
    drawn = component_wells(np.random.default_rng(10), lines=3, compounds=3)
    plates = plate_effects(drawn, ["live_density"])
    with pytest.raises(NotEstimableError, match=says("components.not_measured")):
        variance_components(plates, "nc_log2_aggregate", DOSES)


def test_poison_does_not_count():
    """Doses that are not compared and failed wells leave the components as they are."""
    drawn = component_wells(np.random.default_rng(11), lines=5, compounds=12)
    toxic = drawn.filter(control="none").with_columns(
        dose_molar=pl.lit(1e-4), live_density=pl.col("live_density") ** 2
    )
    failed = drawn.with_columns(status=pl.lit("failed"), live_density=pl.lit(1e9))
    clean, poisoned = components(drawn), components(pl.concat([drawn, toxic, failed]))
    for name in ("batch", "line", "wells", "vehicles", "total", "freedom"):
        assert getattr(clean, name) == pytest.approx(getattr(poisoned, name))
    assert clean.donors.variance == pytest.approx(poisoned.donors.variance)
    assert (poisoned.arms, poisoned.doses) == (24, 2)
