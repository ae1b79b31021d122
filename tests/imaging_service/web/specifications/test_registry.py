from __future__ import annotations

import pytest

from imaging_service.errors import NotFound
from imaging_service.web.specifications.registry import CHARTS, Choice, RunTables, chart
from plate_maps import plate_format
from tests.imaging_service.drawn_answers import CURVE
from tests.imaging_service.web.specifications.test_matrix import row
from tests.imaging_service.web.specifications.test_survival import tracks

OF = Choice("live_density", "x", "L1")
TABLES = RunTables(
    plate_format(96),
    [
        {
            "well": "B04",
            "line": "L1",
            "compound": "x",
            "control": "none",
            "dose_molar": 1e-6,
            "status": "done",
            "reason": "",
            "live_density": 1.0,
        }
    ],
    [row(phenotype="live_density", genotype="", ec50_low=1e-6, ec50_high=None)],
    [
        {
            "line": "L1",
            "phenotype": "live_density",
            "ssmd": 1.0,
            "ssmd_low": 0.5,
            "ssmd_high": 2.0,
            "robust_z_prime": None,
        }
    ],
    [CURVE, CURVE | {"line": "L2"}, CURVE | {"compound": "y"}],
    tracks(),
)


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_every_chart_draws_and_says_where_it_cannot(name):
    assert chart(name, TABLES, OF)["$schema"]
    with pytest.raises(NotFound):
        chart(name, RunTables(plate_format(96)), OF)
    if CHARTS[name].needs:
        with pytest.raises(NotFound, match=CHARTS[name].needs[0]):
            chart(name, TABLES, Choice())


def test_a_curve_is_of_one_line_or_of_all():
    def lines(choice):
        return {p["line"] for p in chart("curve", TABLES, choice)["layer"][2]["data"]["values"]}

    assert lines(OF) == {"L1"}
    assert lines(Choice("live_density", "x")) == {"L1", "L2"}


def test_the_ec50_s_interval_is_the_row_s():
    (mark,) = chart("curve", TABLES, OF)["layer"][3]["data"]["values"]
    assert (mark["low"], mark["high"]) == (1e-6, 1e-5)
