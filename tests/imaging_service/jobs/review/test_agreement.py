from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.errors import NotFound, NotReady, ScanError
from imaging_service.jobs.review.agreement import agreement
from imaging_service.review.local import LocalRun
from napari_plugin import edits
from napari_plugin.session import ReviewSession
from tests.messages import says, states


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
    assert (found.fields[0].n_first, found.fields[0].n_second, found.fields[0].matched) == (
        n - 1,
        n,
        n - 1,
    )


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
    with pytest.raises(NotReady, match=says("agreement.no_field_reviewed")):
        agreement(bob.run)
    with pytest.raises(NotFound, match=says("agreement.no_labels_of_the_compartment")):
        agreement(ann.run, compartment="granules")


def test_the_engine_is_counted_beside_what_both_have(reviewers):
    """Both erase one cell, ann another one too: the first is the engine's error, the second is
    disputed and nobody's.
    """
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
    assert states("agreement.of_two", said.output, what="nuclei", fields=1, judged=1)
    assert (
        CliRunner().invoke(app, ["review", "agreement", str(root), "--readings", "ann"]).exit_code
        == 2
    )


def test_reviewers_of_different_runs_are_not_compared(reviewers):
    ann, bob = reviewers
    record = json.loads((bob.run.root / "run.json").read_text())
    (bob.run.root / "run.json").write_text(json.dumps(record | {"run_id": "0" * 64}))
    ann.accept()
    other = LocalRun(bob.run.root)
    with pytest.raises(ScanError, match=says("agreement.readings_of_two_runs")):
        agreement(ann.run, other)


def test_neurites_agree_by_their_skeletons_and_not_as_one_object(reviewers):
    ann, bob = reviewers
    side = ann.image().labels["neurites"].shape[1] - 1
    bob.image()
    for session in reviewers:
        session.accept()
    assert agreement(ann.run, bob.run, "neurites").f1 == 1.0
    ann.trace([(3, 3), (3, side - 3)])
    (field,) = agreement(ann.run, bob.run, "neurites").fields
    assert field.n_first - field.n_second == pytest.approx(side, abs=12)
    found = agreement(ann.run, bob.run, "neurites")
    assert field.lines.recall == pytest.approx(1.0, abs=0.01)
    assert found.f1 == field.lines.f1
    assert 0.5 < found.f1 < 1.0
    # Only ann drew it, so the engine is not blamed for it.
    assert found.engine_f1 == pytest.approx(1.0, abs=0.01)
    bob.trace([(4, 3), (4, side - 3)])
    both = agreement(ann.run, bob.run, "neurites")
    assert both.f1 == pytest.approx(1.0, abs=0.01)
    assert both.engine_f1 < 0.97
    said = CliRunner().invoke(
        app, ["review", "agreement", str(ann.run.root), "--compartment", "neurites"]
    )
    assert states(
        "agreement.of_neurites", said.output, f1=f"{agreement(ann.run, None, 'neurites').f1:.3f}"
    )
