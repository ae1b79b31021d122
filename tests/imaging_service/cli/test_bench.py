from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from imaging_service.cli import bench as module
from imaging_service.cli.bench import Bench, Case, Score, annotated_nuclei, phantom, run, write
from imaging_service.errors import AnnotationError, EngineError
from segmentation import Segmentation


def case(score, name):
    image = np.full((40, 60), 100, np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[10] = True
    return Case("engine:x", "nuclei", name, score, image, mask, mask)


def test_scores_are_written_as_csv_and_json_and_cases_as_a_sheet(tmp_path):
    bench = Bench(
        [Score("engine:x", "nuclei", "AP@0.5", 0.123456, 7)],
        [case(s, str(s)) for s in (0.1, 0.9, 0.5)],
    )
    write(bench, tmp_path)
    (row,) = csv.DictReader((tmp_path / "scores.csv").read_text("utf-8-sig").splitlines())
    assert row == {
        "engine": "engine:x",
        "what": "nuclei",
        "measure": "AP@0.5",
        "value": "0.1235",
        "images": "7",
    }
    assert json.loads((tmp_path / "scores.json").read_text())[0]["value"] == 0.123456
    sheet = cv2.imread(str(tmp_path / "cases-engine-x.png"))
    assert sheet.shape == (320, 3 * 600, 3)  # best, median and worst, each beside its outlines


def test_a_phantom_of_a_number_is_the_same_for_every_engine():
    one, again, other = (phantom("medium", n, shape=(64, 64)).field.pixels for n in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


class Perfect:
    """Finds what was drawn."""

    def __init__(self, made):
        self.truth = {p.field.pixels.tobytes(): p.truth for p in made}

    def calibrate(self, fields):
        return self

    def segment(self, field):
        truth = self.truth[field.pixels.tobytes()]
        mask = truth.neurite_mask(module.PIXEL_UM)
        return Segmentation(
            {"nuclei": truth.nuclei, "somas": truth.somas, "neurites": mask.astype(np.int32)},
            "perfect",
        )


def test_what_was_drawn_scores_one():
    bench = Bench()
    module._phantoms(
        bench, "perfect", Perfect([phantom("medium", n) for n in range(2)]), "medium", 2
    )
    scores = {(s.what, s.measure): s.value for s in bench.scores}
    for part in ("nuclei", "somas"):
        for measure in ("AP@0.5", "AP@0.75", "AP@0.5:0.95"):
            assert scores[f"{part}, medium phantoms", measure] == 1
    for measure in ("precision@2 px", "recall@2 px", "F1@3 px"):
        assert scores["neurites, medium phantoms", measure] == 1
    assert abs(scores["neurites, medium phantoms", "length bias against the traced mask, %"]) < 5
    assert len(bench.cases) == 6


def test_a_process_that_fails_is_a_failure_of_the_bench(monkeypatch):
    bench = Bench()
    answer = SimpleNamespace(returncode=1, stderr="a\nout of memory\n", stdout="")
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: answer)
    module._speed(bench, "classical", "cpu")
    assert (bench.scores, bench.failures) == ([], ["speed of classical: out of memory"])
    answer.returncode, answer.stdout = 0, 'noise\n{"seconds": 1.5}\n'
    module._speed(bench, "classical", "cpu")
    assert [(s.measure, s.value) for s in bench.scores] == [("seconds", 1.5)]


def test_an_unknown_engine_and_a_folder_without_nuclei_are_refused(tmp_path):
    with pytest.raises(EngineError):
        run(["magic"], device="cpu", nuclei=None, fields=1, speed=False)
    with pytest.raises(AnnotationError):
        list(annotated_nuclei(tmp_path, "test"))
