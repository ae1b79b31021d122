from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError

from imaging_service.errors import ReviewConflict, ReviewRefused, StoreError
from imaging_service.review.crops import Crop
from imaging_service.review.log import ReviewLog, check_cells
from imaging_service.schemas import Verdict
from tests.messages import says

BASE = {"nuclei": np.zeros((20, 30), np.int32), "neurites": np.ones((20, 30), np.int32)}


def crop(value, y=2, x=3, frame=1):
    return [Crop("nuclei", y, x, np.full((4, 5), value, np.int32), frame)]


def verdict(**more):
    return Verdict(
        **(
            {
                "well": "B03",
                "field": 1,
                "accepted": False,
                "author": "ann",
                "reason": "blurred",
                "time": datetime.now(UTC),
            }
            | more
        )
    )


def test_versions_are_deltas_upon_the_engines_labels(tmp_path):
    log = ReviewLog(tmp_path)
    assert (log.head("B03", 1), log.revision(), log.corrected()) == (1, 1, [])
    first = log.commit("B03", 1, 1, crop(7), "ann", "a missed nucleus")
    second = log.commit("B03", 1, 2, crop(9, 3, 3), "bob", "")
    assert (first.version, second.parent, log.head("B03", 1), log.revision()) == (2, 2, 3, 3)
    newest = log.labels(BASE, "B03", 1)
    assert (newest["nuclei"][2, 3], newest["nuclei"][3, 3], newest["nuclei"][6, 3]) == (7, 9, 9)
    assert (log.labels(BASE, "B03", 1, 2)["nuclei"] == 7).sum() == 20
    assert not log.labels(BASE, "B03", 1, 1)["nuclei"].any()
    assert not BASE["nuclei"].any()  # what was handed in is not written to
    assert [(v.author, v.reason) for v in log.history("B03", 1)] == [
        ("ann", "a missed nucleus"),
        ("bob", ""),
    ]
    assert log.corrected() == [("B03", 1)]


def test_a_correction_of_an_old_version_is_refused(tmp_path):
    log = ReviewLog(tmp_path)
    log.commit("B03", 1, 1, crop(7), "ann", "")
    with pytest.raises(ReviewConflict, match=says("log.version_not_newest")):
        log.commit("B03", 1, 1, crop(8), "bob", "")


def test_of_eight_reviewers_at_once_one_writes(tmp_path):
    def write(i):
        try:
            return ReviewLog(tmp_path).commit("B03", 1, 1, crop(i + 1), f"r{i}", "").author
        except ReviewConflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        written = [w for w in pool.map(write, range(8)) if w]
    assert len(written) == 1
    assert [v.author for v in ReviewLog(tmp_path).history("B03", 1)] == written


def test_going_back_is_a_version_too(tmp_path):
    log = ReviewLog(tmp_path)
    log.commit("B03", 1, 1, crop(7), "ann", "")
    log.commit("B03", 1, 2, crop(9), "ann", "")
    back = log.revert(lambda _: BASE, "B03", 1, 2, "bob", "the first was right")
    assert (back.version, back.parent) == (4, 3)
    region = back.regions[0]
    # what was touched since, no more
    assert (region.y, region.x, region.height, region.width) == (2, 3, 4, 5)
    assert (log.labels(BASE, "B03", 1)["nuclei"] == log.labels(BASE, "B03", 1, 2)["nuclei"]).all()
    assert len(log.history("B03", 1)) == 3  # nothing is ever lost


def test_damaged_and_absent_versions_are_said(tmp_path):
    log = ReviewLog(tmp_path)
    log.commit("B03", 1, 1, crop(7), "ann", "")
    with pytest.raises(StoreError, match=says("log.no_such_version")):
        log.labels(BASE, "B03", 1, 5)
    with pytest.raises(ReviewRefused, match=says("log.correction_without_nuclei")):
        log.commit("B03", 1, 2, [Crop("cats", 0, 0, np.ones((2, 2), np.int32))], "ann", "")
    with pytest.raises(ReviewRefused, match=says("log.label_above_the_highest")):
        log.commit("B03", 1, 2, crop(2**31 - 1), "ann", "")
    with pytest.raises(ReviewRefused, match=says("log.nothing_to_take_back")):
        log.revert(lambda _: BASE, "B03", 1, 2, "ann", "")
    path = tmp_path / "review" / "labels" / "B03" / "1" / "0002.npz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(StoreError, match=says("log.damaged")):
        log.labels(BASE, "B03", 1)


def test_the_last_verdict_stands(tmp_path):
    log = ReviewLog(tmp_path)
    log.judge(verdict())
    log.judge(verdict(field=None, reason="bubble"))
    log.judge(verdict(accepted=True, reason=""))
    standing = log.standing()
    assert standing["B03", 1, None].accepted
    assert standing["B03", None, None].reason == "bubble"
    assert log.revision() == 4
    for bad in ({"reason": " "}, {"field": None, "track": 3}):
        with pytest.raises(ValidationError):
            verdict(**bad)


def test_a_correction_sent_twice_is_written_once(tmp_path):
    log = ReviewLog(tmp_path)
    first = log.commit("B03", 1, 1, crop(7), "ann", "", edit="k1")
    log.commit("B03", 1, 2, crop(9), "bob", "", edit="k2")
    assert log.commit("B03", 1, 1, crop(7), "ann", "", edit="k1") == first
    with pytest.raises(ReviewConflict):
        log.commit("B03", 1, 1, crop(7), "ann", "", edit="k3")
    said = verdict()
    log.judge(said)
    log.judge(said)
    assert len(log.verdicts()) == 1


def test_time_points_are_corrected_apart_and_gone_back_from_together(tmp_path):
    log = ReviewLog(tmp_path)
    log.commit("B03", 1, 1, crop(7, frame=2), "ann", "")
    log.commit("B03", 1, 2, crop(8, frame=5), "ann", "")
    assert not log.labels(BASE, "B03", 1)["nuclei"].any()
    assert (log.labels(BASE, "B03", 1, frame=2)["nuclei"] == 7).sum() == 20
    assert (log.labels(BASE, "B03", 1, frame=5)["nuclei"] == 8).sum() == 20
    assert log.corrected_frames("B03", 1) == [2, 5]
    assert [log.frame_version("B03", 1, f) for f in (1, 2, 5)] == [1, 2, 3]
    back = log.revert(lambda _: BASE, "B03", 1, 1, "bob", "")
    assert {(r.compartment, r.frame) for r in back.regions} == {("nuclei", 2), ("nuclei", 5)}
    assert not any(log.labels(BASE, "B03", 1, frame=f)["nuclei"].any() for f in (1, 2, 5))


def test_a_reading_apart_is_its_own_record(tmp_path):
    ReviewLog(tmp_path, "bob").commit("B03", 1, 1, crop(7), "bob", "")
    assert ReviewLog(tmp_path).head("B03", 1) == 1
    assert ReviewLog(tmp_path, "bob").head("B03", 1) == 2
    assert ReviewLog(tmp_path).revision() == 1
    for bad in ("../x", "a b", "x" * 41):
        with pytest.raises(ReviewRefused, match=says("log.name_of_reading")):
            ReviewLog(tmp_path, bad)


def test_a_soma_needs_its_nucleus():
    labels = {"nuclei": np.array([[1, 2]], np.int32), "somas": np.array([[1, 3]], np.int32)}
    with pytest.raises(ReviewRefused, match=says("log.soma_without_nucleus", label=3)):
        check_cells(labels, "well B03")
    check_cells({"somas": labels["somas"]}, "a live assay")


def test_neurites_are_a_mask_outside_somas_whatever_was_painted(tmp_path):
    base = {**BASE, "somas": np.zeros((20, 30), np.int32)}
    log = ReviewLog(tmp_path)
    assert log.labels(base, "B03", 1)["neurites"] is base["neurites"]
    painted = [Crop("neurites", 0, 0, np.array([[0, 9, 1]], np.int32))]
    log.commit("B03", 1, 1, painted, "ann", "")
    assert log.labels(base, "B03", 1)["neurites"][0, :4].tolist() == [0, 1, 1, 1]
    soma = [Crop(n, 5, 5, np.full((4, 6), 3, np.int32)) for n in ("nuclei", "somas")]
    log.commit("B03", 1, 2, soma, "ann", "a missed neuron")
    now = log.labels(base, "B03", 1)
    assert not now["neurites"][5:9, 5:11].any()
    assert now["neurites"].sum() == 20 * 30 - 1 - 24
    # Without the soma they are there again.
    log.revert(lambda frame: base, "B03", 1, 2, "ann", "")
    assert log.labels(base, "B03", 1)["neurites"].sum() == 20 * 30 - 1
    assert (base["neurites"] == 1).all()
