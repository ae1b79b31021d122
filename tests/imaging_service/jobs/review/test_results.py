from __future__ import annotations

import csv
import json

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.errors import StoreError
from imaging_service.jobs.review.results import export_training
from imaging_service.review.local import LocalRun
from segmentation.engines.motornet.nuclei import part_of, read_nuclei
from tests.messages import says, states


def cells(image):
    return [int(i) for i in np.unique(image.labels["nuclei"]) if i]


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
    assert [(r["field"], r["label_version"], r["authors"]) for r in rows] == [
        ("1", "2", "ann"),
        ("2", "1", ""),
    ]
    read = {
        name: (pixels, labels)
        for part in ("training", "validation", "test")
        for name, pixels, labels in read_nuclei(out, part)
    }
    assert set(read) == {r["id"] for r in rows}
    assert all(part_of(name) in {"training", "validation", "test"} for name in read)
    pixels, labels = read[rows[0]["id"]]
    now = LocalRun(ann.run.root).read_field(rows[0]["well"], 1)
    assert np.array_equal(labels, now.labels["nuclei"])
    assert np.array_equal(pixels, now.pixels[now.roles.index("dna")].astype(np.float32))
    with pytest.raises(StoreError, match=says("export.nothing_to_learn_from")):
        export_training(bob.run.root, out)


def test_the_commands(reviewers, tmp_path):
    ann, bob = reviewers
    ann.accept()
    bob.reject("blurred")
    said = CliRunner().invoke(
        app,
        [
            "review",
            "agreement",
            str(ann.run.root),
            str(bob.run.root),
            "--out",
            str(tmp_path / "a.json"),
        ],
    )
    assert states("agreement.of_two", said.output, what="nuclei", fields=1, judged=1)
    assert states(
        "agreement.scores", said.output, both="1.000", dice="1.000", kappa="0.000", engine="1.000"
    )
    assert json.loads((tmp_path / "a.json").read_text())["n_judged"] == 1
    done = CliRunner().invoke(
        app, ["review", "export", str(ann.run.root), "--out", str(tmp_path / "t")]
    )
    assert states("export.fields_counted", done.output, fields=1)
    assert pl.read_csv(tmp_path / "t" / "manifest.csv").height == 1
