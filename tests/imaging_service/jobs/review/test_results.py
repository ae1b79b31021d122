from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.errors import ScanError, StoreError
from imaging_service.jobs.review.agreement import agreement
from imaging_service.jobs.review.results import export_training
from imaging_service.review.local import LocalRun
from napari_plugin import edits
from napari_plugin.session import ReviewSession
from segmentation.engines.motornet.nuclei import part_of, read_nuclei


@pytest.fixture
def reviewers(analysed, tmp_path):
    """Two sessions on copies of one run."""
    found = []
    for name in ("ann", "bob"):
        session = ReviewSession.open(shutil.copytree(analysed, tmp_path / name, ignore=shutil.ignore_patterns("*.lock")))
        session.author = name
        found.append(session)
    return found


def cells(image):
    return [int(i) for i in np.unique(image.labels["nuclei"]) if i]


def test_reviewers_who_did_the_same_agree_and_one_erased_cell_is_one_miss(reviewers):
    ann, bob = reviewers
    for session in reviewers:
        session.accept()
    same = agreement(ann.run, bob.run)
    assert (same.f1, same.dice, same.kappa, same.n_judged) == (1.0, 1.0, None, 1)
    image = ann.image()
    ann.erase("nuclei", cells(image)[0])
    found = agreement(ann.run, bob.run)
    n = len(cells(image))
    assert found.f1 == pytest.approx(2 * (n - 1) / (2 * n - 1))
    assert 0.8 < found.dice < 1
    assert (found.fields[0].n_first, found.fields[0].n_second, found.fields[0].matched) == (n - 1, n, n - 1)


def test_kappa_of_verdicts(reviewers):
    """Four fields: both accept two, both reject one, they part over one: (0.75 − 0.5) / (1 − 0.5)."""
    said = {"ann": [True, True, False, False], "bob": [True, True, False, True]}
    for session in reviewers:
        for verdict in said[session.author]:
            session.accept() if verdict else session.reject("blurred")
            session.next()
    found = agreement(*(s.run for s in reviewers))
    assert (found.n_judged, found.kappa) == (4, pytest.approx((0.75 - 0.5) / 0.5))


def test_the_engine_against_the_reviewer(reviewers, monkeypatch):
    ann, bob = reviewers
    image = ann.image()
    monkeypatch.setattr(edits, "_APART_PX", 1000)
    ann.merge(*cells(image)[:2])
    found = agreement(ann.run)
    assert found.fields[0].n_second == found.fields[0].n_first + 1
    assert found.f1 < 1
    with pytest.raises(StoreError, match="no field of .* was reviewed"):
        agreement(bob.run)
    with pytest.raises(StoreError, match="no labels of granules"):
        agreement(ann.run, compartment="granules")


def test_the_engine_is_counted_beside_what_both_have(reviewers):
    """Both erase one cell, ann another one too: the first is the engine's error, the second is disputed and nobody's."""
    ann, bob = reviewers
    labels = cells(ann.image())
    bob.image()
    for session in reviewers:
        session.erase("nuclei", labels[0])
    ann.erase("nuclei", labels[1])
    found = agreement(ann.run, bob.run)
    n = len(labels)
    assert found.fields[0].engine == (n - 2, 1, 0)
    assert found.engine_f1 == pytest.approx(2 * (n - 2) / (2 * (n - 2) + 1))


def test_two_readings_of_one_run_are_compared_as_copies_are(reviewers):
    root = reviewers[0].run.root
    for name, erased in (("ann", 0), ("bob", 1)):
        session = ReviewSession.open(root, reading=name)
        session.erase("nuclei", cells(session.image())[erased])
        session.accept()
        session.close()
    found = agreement(LocalRun(root, "ann"), LocalRun(root, "bob"))
    n = found.fields[0].n_first
    assert (found.fields[0].n_second, found.fields[0].matched, found.n_judged) == (n, n - 1, 1)
    said = CliRunner().invoke(app, ["review", "agreement", str(root), "--readings", "ann,bob"])
    assert "two reviewers, nuclei, 1 fields (1 judged by both)" in said.output
    assert CliRunner().invoke(app, ["review", "agreement", str(root), "--readings", "ann"]).exit_code == 2


def test_reviewers_of_different_runs_are_not_compared(reviewers):
    ann, bob = reviewers
    record = json.loads((bob.run.root / "run.json").read_text())
    (bob.run.root / "run.json").write_text(json.dumps(record | {"run_id": "0" * 64}))
    ann.accept()
    other = LocalRun(bob.run.root)
    with pytest.raises(ScanError, match="are not of one run"):
        agreement(ann.run, other)


def test_corrected_and_accepted_fields_become_what_training_reads(reviewers, tmp_path):
    ann, bob = reviewers
    image = ann.image()
    ann.erase("nuclei", cells(image)[0])
    ann.next()
    ann.accept()
    ann.next()
    ann.reject("bubble")
    out = tmp_path / "training"
    assert export_training(ann.run.root, out) == 2
    rows = list(csv.DictReader((out / "manifest.csv").read_text().splitlines()))
    assert [(r["field"], r["label_version"], r["authors"]) for r in rows] == [("1", "2", "ann"), ("2", "1", "")]
    read = {name: (pixels, labels) for part in ("training", "validation", "test") for name, pixels, labels in read_nuclei(out, part)}
    assert set(read) == {r["id"] for r in rows}
    assert all(part_of(name) in {"training", "validation", "test"} for name in read)
    pixels, labels = read[rows[0]["id"]]
    now = LocalRun(ann.run.root).read_field(rows[0]["well"], 1)
    assert np.array_equal(labels, now.labels["nuclei"])
    assert np.array_equal(pixels, now.pixels[now.roles.index("dna")].astype(np.float32))
    with pytest.raises(StoreError, match="nothing to learn from"):
        export_training(bob.run.root, out)


def test_the_commands(reviewers, tmp_path):
    ann, bob = reviewers
    ann.accept()
    bob.reject("blurred")
    said = CliRunner().invoke(app, ["review", "agreement", str(ann.run.root), str(bob.run.root), "--out", str(tmp_path / "a.json")])
    assert (
        "two reviewers, nuclei, 1 fields (1 judged by both): F1 at IoU 0.5 1.000, mean Dice 1.000, kappa of verdicts 0.000"
        ", the engine's F1 beside what both have 1.000" in said.output
    )
    assert json.loads((tmp_path / "a.json").read_text())["n_judged"] == 1
    done = CliRunner().invoke(app, ["review", "export", str(ann.run.root), "--out", str(tmp_path / "t")])
    assert "1 fields in" in done.output
    assert pl.read_csv(tmp_path / "t" / "manifest.csv").height == 1
