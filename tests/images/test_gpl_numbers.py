"""R's drc on data whose licence (GPL-2) does not let them be part of this repository: no images,
and still beside the clone.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy import stats

from benchmarks.inference.drc_like import drc_like
from phenotypes.statistics.curves.dose_response import fit

pytestmark = pytest.mark.images


def ryegrass(shared_data):
    text = (shared_data / "reference" / "dose_response" / "ryegrass.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    return [np.array([float(r[name]) for r in rows]) for name in ("conc_mM", "root_length_cm")]


def test_ryegrass_against_r_drc(shared_data):
    """LL.4 of R's drc on the data of Inderjit et al.

    2002; its b is our h, its c Einf and its d E0.
    """
    result = fit(*ryegrass(shared_data))
    assert result.status == "ok"
    assert result.direction == "descending"
    assert result.hill == pytest.approx(2.98222, abs=2e-5)
    assert result.einf == pytest.approx(0.48141, abs=2e-5)
    assert result.e0 == pytest.approx(7.79296, abs=2e-5)
    assert result.ec50 == pytest.approx(3.05795, abs=2e-5)
    assert result.residual_sd == pytest.approx(0.5196256, abs=1e-6)
    assert result.effective_dose(0.1) == pytest.approx(1.46371, abs=5e-5)
    assert result.effective_dose(0.9) == pytest.approx(6.38864, abs=2e-4)
    errors = np.sqrt(np.diag(result.covariance))
    assert errors[:3] == pytest.approx([0.46506, 0.18857, 0.21219], rel=2e-4)
    assert errors[3] * np.log(10) * result.ec50 == pytest.approx(0.18573, rel=2e-4)
    assert result.ec50_low == pytest.approx(2.67053, rel=0.03)  # profile beside R's Wald interval
    assert result.ec50_high == pytest.approx(3.44538, rel=0.03)


def test_the_drc_like_fit_of_the_benchmarks_is_that_of_drc(shared_data):
    """ED50 with its error and delta interval, and the chi-squared of noEffect, as drc prints them."""
    found = drc_like(*ryegrass(shared_data))
    assert found.ec50 == pytest.approx(3.05795, abs=2e-5)
    assert found.error == pytest.approx(0.18573, abs=2e-5)
    assert (found.low, found.high) == pytest.approx((2.67053, 3.44538), abs=2e-5)
    assert found.p_value == pytest.approx(stats.chi2.sf(91.87776, 3), rel=1e-4)
