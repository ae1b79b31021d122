from __future__ import annotations

import polars as pl
import pytest

from imaging_service.errors import ScreenError
from imaging_service.screens.compounds import set_compounds
from imaging_service.screens.folder import add_run, fit
from imaging_service.screens.planning import plan, write_plans
from tests.imaging_service.written_runs import four_runs, planned_runs
from tests.messages import says


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    root = tmp_path_factory.mktemp("planned")
    for run in planned_runs(root):
        add_run(root / "screen", run)
    fit(root / "screen")
    return root / "screen"


def test_a_plan_has_the_screens_own_components(screen):
    plans, reasons = plan(screen, 0.5)
    assert reasons == []
    (one,) = plans
    assert one.unit == "log2 ratio"
    assert (one.components.arms, one.components.n_wells, one.components.n_vehicles) == (12, 3, 8)
    assert (one.components.n_lines, one.components.n_compounds) == (4, 12)
    assert 0.17 < one.components.wells**0.5 < 0.23  # 0.20
    assert 0.09 < one.components.batch**0.5 < 0.21  # 0.15, from 36 degrees of freedom
    assert one.components.donors.n_donors == 4
    assert one.question.floor == pytest.approx(0.263, abs=0.001)
    harder, _ = plan(screen, 0.4, working=0.05)
    assert (harder[0].designs["moderated_power"] <= one.designs["moderated_power"] + 1e-9).all()


def test_table_and_picture_are_written(screen, tmp_path):
    plans, _ = plan(screen, -0.5, "live_density")
    paths = write_plans(plans, tmp_path, "png")
    assert [p.name for p in paths] == ["power.csv", "power_live_density.png"]
    table = pl.read_csv(paths[0])
    assert table.columns == [*plans[0].designs.columns]
    assert len(table) == len(plans[0].designs)
    assert paths[1].read_bytes()[:4] == b"\x89PNG"


def test_a_phenotype_in_another_unit_is_planned_for_by_name_only(screen):
    (one,), _ = plan(screen, 0.5, "nc_log2_aggregate")
    assert one.unit == "Δ log2"
    assert one.components.phenotype == "nc_log2_aggregate"


@pytest.mark.parametrize(
    ("effect", "phenotype", "refused"),
    [
        (0.5, "vitality", says("planning.no_phenotype")),
        (0.1, "", says("planning.under_the_floor")),
        (0.0, "", says("power.no_effect")),
    ],
)
def test_what_cannot_be_planned(screen, effect, phenotype, refused):
    with pytest.raises(ScreenError, match=refused):
        plan(screen, effect, phenotype)


def test_a_screen_of_one_compound_is_refused_with_the_reason(tmp_path):
    for run in four_runs(tmp_path / "runs"):
        add_run(tmp_path / "s", run)
    fit(tmp_path / "s")
    with pytest.raises(ScreenError, match=says("planning.too_few_rows")):
        plan(tmp_path / "s", 0.5)


def test_names_of_one_compound_are_one_compound(screen, tmp_path):
    runs = planned_runs(tmp_path / "runs")
    wells = pl.read_parquet(runs[0] / "wells.parquet")
    spelt = wells.with_columns(pl.col("compound").replace("c05", "C-five"))
    spelt.write_parquet(runs[0] / "wells.parquet")
    for run in runs:
        add_run(tmp_path / "s", run)
    key = tmp_path / "compounds.csv"
    key.write_text("id,name,synonyms\nK5,c05,C-five\n", encoding="utf-8")
    set_compounds(tmp_path / "s", key)
    fit(tmp_path / "s")
    (expected,), _ = plan(screen, 0.5)
    (one,), _ = plan(tmp_path / "s", 0.5)
    assert one.components.n_compounds == 12
    assert one.components.total == pytest.approx(expected.components.total)
    assert one.components.batch == pytest.approx(expected.components.batch)
