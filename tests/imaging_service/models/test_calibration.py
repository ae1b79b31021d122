from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from imaging_service.errors import ModelRefused, StoreError
from imaging_service.models import calibration as module
from imaging_service.models.calibration import calibrate_assay, choose, cross_validated
from imaging_service.models.scores import FieldScore
from imaging_service.review.crops import Crop
from imaging_service.review.local import LocalRun
from imaging_service.review.log import ReviewLog
from imaging_service.schemas import Verdict
from plate_maps.registry import Line
from segmentation.scoring.accuracy import Counts, LineCounts
from tests.messages import says, states

WELLS = ("B04", "B05", "C02")


def accept(run, *wells):
    log = ReviewLog(run)
    for well in wells:
        log.judge(Verdict(well=well, field=1, accepted=True, author="ann", time=datetime.now(UTC)))


@pytest.fixture
def reviewed_run(own_run):
    """Fields of three wells, in which a reviewer took away every nucleus under 60 µm²."""
    run, log = LocalRun(own_run), ReviewLog(own_run)
    for well in WELLS:
        nuclei = run.engine_labels(well, 1)["nuclei"].copy()
        small = np.bincount(nuclei.ravel()) * 0.65**2 < 60
        assert 0 < small[1:].sum() < len(small) - 1
        nuclei[small[nuclei]] = 0
        log.commit(well, 1, 1, [Crop("nuclei", 0, 0, nuclei)], "ann", "debris")
    return own_run


def test_the_least_area_is_fitted_and_measured_on_wells_left_out(reviewed_run):
    fitted = calibrate_assay([LocalRun(reviewed_run)], device="cpu")
    assert fitted.chosen == {"min_nucleus_area_um2": 60.0}
    assert fitted.protocol.segmentation.min_nucleus_area_um2 == 60
    assert fitted.figures["nuclei_ap"].value > fitted.before["nuclei_ap"].value + 0.02
    assert fitted.figures["count_error"].value < fitted.before["count_error"].value
    known = fitted.protocol.accuracy
    assert (known.engine, known.fields, known.wells) == ("classical", 3, 3)
    value, low, high = known.figures["nuclei_ap"]
    assert low <= value <= high
    assert known.settings_sha256 == fitted.protocol.segmentation.settings_digest()
    assert "neurite_f1" not in known.figures


def test_accepted_fields_move_nothing(own_run):
    accept(own_run, *WELLS)
    fitted = calibrate_assay([LocalRun(own_run)], device="cpu")
    assert fitted.chosen == {}
    # The engine agrees with its own labels, which a reviewer found to be right.
    assert fitted.figures["neurite_f1"].value == 1
    assert fitted.figures["count_error"].value == 0


def test_one_well_cannot_be_cross_validated(own_run):
    accept(own_run, "B02")
    with pytest.raises(ModelRefused, match=says("calibrate.one_well")):
        calibrate_assay([LocalRun(own_run)], device="cpu")


def test_a_consent_that_forbids_methods_development_gives_no_field(own_run):
    accept(own_run, *WELLS)
    lines = {"L1": Line("L1", "D1", consent="GRU"), "L2": Line("L2", "D2", consent="NMDS")}
    fitted = calibrate_assay([LocalRun(own_run)], lines, device="cpu")
    assert fitted.protocol.accuracy.wells == 2
    assert states("models.consent_forbids", fitted.notes[0], place="Small-1 C02 field 1", line="L2")


def test_runs_of_several_protocols_are_refused(small_run, tmp_path):
    other = shutil.copytree(small_run, tmp_path / "other")
    path = other / "work" / "record.json"
    before = LocalRun(small_run).record["protocol_digest"]
    path.write_text(path.read_text().replace(before, "0" * 64))
    with pytest.raises(ModelRefused, match=says("calibrate.several_protocols")):
        calibrate_assay([LocalRun(small_run), LocalRun(other)], device="cpu")


def test_a_run_without_its_record_is_refused(own_run):
    shutil.rmtree(own_run / "work")
    with pytest.raises(StoreError, match=says("calibrate.run_without_record")):
        calibrate_assay([LocalRun(own_run)], device="cpu")


def test_wells_that_a_model_learnt_from_are_left_out(own_run, monkeypatch):
    accept(own_run, *WELLS)
    digest = LocalRun(own_run).record["plate_digest"]
    monkeypatch.setattr(module, "learnt_from", lambda engine: {(digest, "B04")})
    fitted = calibrate_assay([LocalRun(own_run)], device="cpu")
    assert fitted.protocol.accuracy.wells == 2
    assert states("calibrate.learnt_from", fitted.notes[0], place="Small-1 B04 field 1")


def test_the_network_runs_once_per_field_for_all_numbers(own_run, monkeypatch):
    from segmentation.engines.motornet.engine import MotorNetSegmenter

    accept(own_run, "B02", "B03")
    calls = []
    real = MotorNetSegmenter.answer
    monkeypatch.setattr(
        MotorNetSegmenter, "answer", lambda self, field: calls.append(1) or real(self, field)
    )
    fitted = calibrate_assay([LocalRun(own_run)], engine="motornet", device="cpu")
    assert len(calls) == 2
    assert fitted.protocol.accuracy.engine == "motornet"
    assert fitted.protocol.accuracy.weights_sha256


class Known:
    """Scores by a formula: neurites are best at one probability in each field."""

    def __init__(self, best):
        self.best = best

    def of(self, numbers):
        given = dict(numbers)["neurite_probability"]
        return [
            FieldScore(
                "w",
                LineCounts(100, 100 - int(50 * abs(given - b)), 100, 100),
                (100 * (1 + abs(given - b)), 100.0),
                Counts(1, 0, 0),
                None,
            )
            for b in self.best
        ]


def test_numbers_are_chosen_on_the_fields_that_are_named():
    scores = Known([0.3, 0.3, 0.8])
    start = (("neurite_probability", 0.5), ("min_nucleus_area_um2", 20.0))
    assert choose(scores, start, [0, 1]) == (
        ("neurite_probability", 0.3),
        ("min_nucleus_area_um2", 20.0),
    )
    assert dict(choose(scores, start, [2]))["neurite_probability"] == 0.8


def test_a_well_is_measured_with_numbers_that_were_chosen_on_the_others():
    scores = Known([0.3, 0.3, 0.8])
    start = (("neurite_probability", 0.5),)
    wells = [("p", "B02"), ("p", "B02"), ("p", "B03")]
    # B02 with the 0.8 of B03, and the other way round: half a neurite is too long in each.
    crossed = cross_validated(scores, start, wells)
    assert [round(s.length_um[0]) for s in crossed] == [150, 150, 150]


def test_what_was_not_traced_is_not_fitted():
    class Blind(Known):
        def of(self, numbers):
            return [replace(s, lines=None, length_um=None) for s in super().of(numbers)]

    start = (("neurite_probability", 0.5),)
    assert choose(Blind([0.3]), start, [0]) == start
