from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from imaging_service.jobs.review.reviewed import reviewed_fields
from imaging_service.review.local import LocalRun
from imaging_service.schemas import Verdict
from plate_maps.registry import Line


def drawn(session, compartment, value=1):
    """A square of a compartment, painted and saved, in a corner that shows none."""
    labels = session.image().labels[compartment].copy()
    labels[:4, :4] = value
    return session.save({compartment: labels})


def test_of_each_compartment_it_says_whose_the_labels_are(reviewers):
    ann, bob = reviewers
    drawn(ann, "neurites")
    ann.next()
    ann.image()
    ann.accept()
    first, second = reviewed_fields(LocalRun(ann.run.root))
    assert first.record.labels == {
        "nuclei": "engine",
        "somas": "engine",
        "neurites": "corrected",
        "puncta": "engine",
    }
    assert set(second.record.labels.values()) == {"accepted"}
    assert (first.record.label_version, first.record.accepted_version) == (2, None)
    assert (second.record.label_version, second.record.accepted_version) == (1, 1)
    assert (first.record.authors, second.record.authors) == (["ann"], ["ann"])
    assert first.record.revision == 3
    assert first.labels["neurites"][:4, :4].all()
    assert first.pixels.shape == (len(first.record.channels), *first.labels["neurites"].shape)
    assert list(reviewed_fields(LocalRun(bob.run.root))) == []


def test_what_was_taken_back_is_the_engines_again(reviewers):
    ann, _ = reviewers
    drawn(ann, "neurites")
    ann.undo()
    (only,) = reviewed_fields(LocalRun(ann.run.root))
    assert only.record.labels["neurites"] == "engine"
    assert [v.undoes for v in only.record.versions] == [None, 2]


def test_a_field_that_was_changed_after_it_was_accepted_is_not_accepted_as_it_is(reviewers):
    ann, _ = reviewers
    drawn(ann, "neurites")
    ann.accept()
    drawn(ann, "neurites", 0)
    labels = ann.image().labels["somas"].copy()
    labels[labels == labels.max()] = 0
    ann.save({"somas": labels})
    (only,) = reviewed_fields(LocalRun(ann.run.root))
    assert (only.record.label_version, only.record.accepted_version) == (4, 2)
    assert only.record.labels["somas"] == "corrected"


def test_a_verdict_without_version_stands_for_the_labels_of_its_time(reviewers):
    ann, _ = reviewers
    made = drawn(ann, "neurites")
    for minutes, version in ((-1, 1), (1, 2)):
        verdict = Verdict(
            well=ann.well,
            field=1,
            accepted=True,
            author="ann",
            time=made.time + timedelta(minutes=minutes),
        )
        ann.run.judge(verdict)
        (only,) = reviewed_fields(LocalRun(ann.run.root))
        assert only.record.accepted_version == version


@pytest.mark.parametrize(
    ("consent", "codes", "forbidden"),
    [("HMB-NMDS", ["DUO:0000006", "DUO:0000015"], True), ("broad", [], False)],
)
def test_the_consent_is_that_of_the_wells_line(reviewers, consent, codes, forbidden):
    ann, _ = reviewers
    drawn(ann, "neurites")
    name = ann.table.rows[ann.well]["line"]
    lines = {name: Line(name, "D1", consent=consent), "other": Line("other", "D2", consent="GRU")}
    (only,) = reviewed_fields(LocalRun(ann.run.root), lines, "lines.tsv")
    assert (only.record.line, only.record.consent) == (name, consent)
    assert (only.record.duo, only.record.forbids_methods) == (codes, forbidden)
    assert only.record.consent_from == "lines.tsv"
    (unknown,) = reviewed_fields(LocalRun(ann.run.root), {"other": lines["other"]}, "lines.tsv")
    assert (unknown.record.consent, unknown.record.duo, unknown.record.consent_from) == ("", [], "")


def test_the_engine_and_its_weights_are_named(reviewers):
    ann, _ = reviewers
    drawn(ann, "neurites")
    run = LocalRun(ann.run.root)
    run.record["engine"]["checkpoint"] = {"sha256": "ab12"}
    (only,) = reviewed_fields(run)
    assert only.record.engine == run.record["engine"]["engine"]
    assert only.record.model_digest == "ab12"
    assert only.record.protocol_digest == run.record["protocol_digest"]
    assert np.array_equal(only.pixels, run.read_field(only.record.well, 1).pixels)
