from __future__ import annotations

import json
from dataclasses import replace

import pytest

from imaging_service.jobs.accuracy import AccuracyStatus, accuracy_of
from imaging_service.protocol import parse_protocol
from tests.messages import states

ENGINE = {"engine": "motornet", "checkpoint": {"sha256": "ab" * 32}}


def protocol(**more):
    """A protocol with the accuracy of its engine and settings."""
    content = {"name": "p", "channels": {"dna": 1}, "segmentation": {"neurite_probability": 0.4}}
    settings = parse_protocol(content, "p").segmentation.settings_digest()
    accuracy = {
        "engine": "motornet",
        "weights_sha256": "ab" * 32,
        "settings_sha256": settings,
        "fields": 8,
        "wells": 4,
        "runs": ["r"],
        "figures": {"neurite_f1": [0.91, 0.88, 0.93]},
    }
    return parse_protocol(content | {"accuracy": accuracy | more}, "p")


def test_the_figure_of_this_assay_is_carried():
    carried = accuracy_of(protocol(), ENGINE)
    assert carried["status"] == AccuracyStatus.MEASURED
    assert carried["figures"] == {"neurite_f1": [0.91, 0.88, 0.93]}
    assert (carried["fields"], carried["wells"]) == (8, 4)


def test_no_general_figure_stands_in_for_one_of_this_assay():
    content = {"name": "p", "channels": {"dna": 1}}
    carried = accuracy_of(parse_protocol(content, "p"), ENGINE)
    assert (carried["status"], carried["figures"]) == (AccuracyStatus.NOT_MEASURED, {})


@pytest.mark.parametrize(
    "engine",
    [
        {"engine": "classical"},
        {"engine": "motornet:x", "checkpoint": {"sha256": "ab" * 32}},
        {"engine": "motornet", "checkpoint": {"sha256": "cd" * 32}},
    ],
)
def test_a_figure_of_another_engine_is_not_carried(engine):
    carried = accuracy_of(protocol(), engine)
    assert (carried["status"], carried["figures"]) == (AccuracyStatus.OTHER_ENGINE, {})
    assert states("accuracy.other_engine", carried["reason"], named=engine["engine"])


def test_a_figure_of_other_settings_is_not_carried():
    known = protocol()
    other = replace(known.segmentation, neurite_probability=0.5)
    carried = accuracy_of(known.model_copy(update={"segmentation": other}), ENGINE)
    assert (carried["status"], carried["figures"]) == (AccuracyStatus.OTHER_SETTINGS, {})
    # Which engine and which digest the protocol names is judged by what ran.
    pinned = replace(known.segmentation, checkpoint_sha256="ab" * 32)
    carried = accuracy_of(known.model_copy(update={"segmentation": pinned}), ENGINE)
    assert carried["status"] == AccuracyStatus.MEASURED


def test_a_figure_decides_no_number():
    without = protocol().model_copy(update={"accuracy": None})
    assert without.digest() == protocol().digest()


def summarised(run, accuracy):
    """The record and the report of a run whose protocol has an accuracy."""
    from imaging_service.jobs.records import RunFolder, RunRecord, WellOutcome, load, save
    from imaging_service.jobs.summary import summarise

    folder = RunFolder(run)
    record = load(RunRecord, folder.record)
    content = record.inputs.protocol.model_dump(mode="json", exclude_none=True)
    settings = record.inputs.protocol.segmentation.settings_digest()
    known = accuracy and {"settings_sha256": settings} | accuracy
    changed = parse_protocol(content | ({"accuracy": known} if known else {}), "p")
    save(replace(record, inputs=replace(record.inputs, protocol=changed)), folder.record)
    summarise(run, {w: load(WellOutcome, folder.outcome(w)) for w in record.wells})
    carried = json.loads((run / "run.json").read_text())["accuracy"]
    return carried, (run / "report.html").read_text()


def test_record_and_report_carry_the_figure_of_this_assay(own_run):
    accuracy = {
        "engine": "classical",
        "fields": 8,
        "wells": 4,
        "runs": ["r"],
        "figures": {"length_error": [0.042, 0.03, 0.05]},
    }
    carried, report = summarised(own_run, accuracy)
    assert carried["status"] == "measured"
    assert carried["figures"] == {"length_error": [0.042, 0.03, 0.05]}
    assert states("accuracy.figure_in_report", report)


def test_record_and_report_say_that_nothing_was_measured(own_run):
    carried, report = summarised(own_run, None)
    assert carried["status"] == "not_measured"
    assert states("accuracy.none_in_report", report)
