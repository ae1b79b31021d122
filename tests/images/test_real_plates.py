"""Real scans, end to end.

Bars come from the issue and from what was measured; nothing here is motor neurons.
"""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest

from imaging_service.jobs.analyze import analyze
from imaging_service.jobs.plan import read_inputs
from imaging_service.protocol import load_protocol
from tests.messages import states

pytestmark = pytest.mark.images


def run(repository, example, scan, out):
    folder = repository / "examples" / example
    protocol = load_protocol(folder / "protocol.toml")
    analyze(
        lambda: read_inputs(scan, folder / "plate_map.csv", protocol, None, "auto"), out, workers=2
    )
    return out


@pytest.fixture(scope="module")
def bbbc013(shared_data, repository, tmp_path_factory):
    return run(
        repository,
        "bbbc013",
        shared_data / "bbbc013_half" / "images",
        tmp_path_factory.mktemp("bbbc013"),
    )


def test_the_translocation_screen_gives_a_sigmoid(bbbc013):
    row = (
        pl.read_parquet(bbbc013 / "responses.parquet")
        .filter(pl.col("phenotype") == "nc_log2_aggregate")
        .to_dicts()[0]
    )
    assert row["status"] == "ok"
    assert row["direction"] == "ascending"
    assert row["n_doses"] == 9  # the positive control, index 10, is no part of the curve
    assert row["ec50_high"] / row["ec50_low"] < 1.5
    assert row["z_prime"] >= 0.67  # what a crude Otsu-and-ring script reaches


def test_the_controls_are_at_least_as_far_apart_as_a_crude_script_puts_them(bbbc013):
    wells = pl.read_parquet(bbbc013 / "wells.parquet")
    ratio = {
        c: 2 ** wells.filter(pl.col("control") == c)["nc_log2_aggregate"].mean()
        for c in ("vehicle", "positive")
    }
    assert ratio["vehicle"] <= 0.72
    assert ratio["positive"] >= 5.83
    index = (
        wells.filter(pl.col("control") == "none")
        .group_by("dose_molar")
        .agg(pl.col("nc_log2_aggregate").mean())
        .sort("dose_molar")
    )
    middle = index["nc_log2_aggregate"].to_list()
    assert middle[-1] - middle[0] > 2.5
    assert sum(b > a for a, b in pairwise(middle)) >= 5


def test_every_well_of_the_screen_is_done(bbbc013):
    wells = pl.read_parquet(bbbc013 / "wells.parquet")
    assert set(wells["status"]) == {"done"}
    assert len(wells) == 48
    assert wells["nuclei_count"].min() > 100  # the eye counts no fewer in the sparsest field


def test_operetta_is_read_and_refuses_what_it_cannot_carry(shared_data, repository, tmp_path):
    out = run(
        repository,
        "operetta_v5",
        shared_data / "vendor" / "operetta_v5" / "operetta_plate",
        tmp_path,
    )
    wells = pl.read_parquet(out / "wells.parquet").to_dicts()
    assert wells[0]["status"] == "done"
    assert wells[0]["n_fields"] == 2
    assert wells[0]["nuclei_count"] > 500
    assert wells[0]["nc_log2_dna"] is None
    fields = pl.read_parquet(out / "fields.parquet")
    assert fields["warnings"].str.contains("pixel_size_too_coarse").all()
    assert pl.read_parquet(out / "responses.parquet").is_empty()
    assert states("report.no_compound_with_doses", (out / "report.html").read_text())
