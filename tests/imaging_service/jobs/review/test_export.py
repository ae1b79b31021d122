from __future__ import annotations

import csv
import json

import numpy as np
import polars as pl
import pytest
import tifffile
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.errors import NotFound, RegistryRefused, StoreError
from imaging_service.jobs.review.export import export_training, read_export, read_registry
from imaging_service.jobs.review.reviewed import reviewed_fields
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
    done = export_training(ann.run.root, out)
    assert (done.fields, done.nuclei) == (2, 2)
    rows = list(csv.DictReader((out / "manifest.csv").read_text().splitlines()))
    assert [(r["field"], r["label_version"], r["authors"]) for r in rows] == [
        ("1", "2", "ann"),
        ("2", "1", "ann"),
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


def traced(session):
    """A corner of neurites, painted and saved."""
    labels = session.image().labels["neurites"].copy()
    labels[:4, :4] = 1
    session.save({"neurites": labels})


def test_whole_fields_leave_with_all_channels_labels_and_their_record(reviewers, tmp_path):
    ann, _ = reviewers
    traced(ann)
    ann.next()
    ann.image()
    ann.accept()
    done = export_training(ann.run.root, tmp_path)
    # The nuclei of the first field are the engine's, and no reviewer stands for them.
    assert (done.fields, done.nuclei) == (2, 1)
    rows = list(csv.DictReader((tmp_path / "fields.csv").read_text().splitlines()))
    assert [(r["neurites"], r["nuclei"], r["label_version"]) for r in rows] == [
        ("corrected", "engine", "2"),
        ("accepted", "accepted", "1"),
    ]
    assert {(r["consent"], r["duo"], r["no_methods"]) for r in rows} == {3 * ("unknown",)}
    for read, kept in zip(
        read_export(tmp_path), reviewed_fields(LocalRun(ann.run.root)), strict=True
    ):
        assert read.record == kept.record
        assert read.pixels.dtype == kept.pixels.dtype
        assert np.array_equal(read.pixels, kept.pixels)
        assert set(read.labels) == set(kept.labels)
        assert all(np.array_equal(read.labels[n], kept.labels[n]) for n in kept.labels)
    with tifffile.TiffFile(tmp_path / "fields" / rows[0]["id"] / "pixels.tif") as tiff:
        ome = tiff.ome_metadata
    assert all(f'Name="{channel}"' in ome for channel in kept.record.channels)
    assert f'PhysicalSizeX="{kept.record.pixel_size_um}"' in ome
    # A field that is exported twice is one field, byte for byte.
    first = {p: p.read_bytes() for p in sorted((tmp_path / "fields").rglob("*.*"))}
    export_training(ann.run.root, tmp_path)
    assert {p: p.read_bytes() for p in sorted((tmp_path / "fields").rglob("*.*"))} == first


def test_where_no_nuclei_were_reviewed_there_is_no_manifest_of_nuclei(reviewers, tmp_path):
    ann, bob = reviewers
    bob.image()
    bob.accept()
    export_training(bob.run.root, tmp_path)
    assert (tmp_path / "manifest.csv").is_file()
    traced(ann)
    assert export_training(ann.run.root, tmp_path).nuclei == 0
    assert not (tmp_path / "manifest.csv").exists()
    assert len(list(read_export(tmp_path))) == 1


def test_an_export_that_was_changed_is_refused(reviewers, tmp_path):
    ann, _ = reviewers
    with pytest.raises(NotFound, match=says("export.no_table_of_fields")):
        next(read_export(tmp_path))
    traced(ann)
    export_training(ann.run.root, tmp_path)
    (place,) = (tmp_path / "fields").iterdir()
    tifffile.imwrite(place / "neurites.tif", np.zeros((256, 256), np.uint16))
    with pytest.raises(StoreError, match=says("export.changed_since")):
        next(read_export(tmp_path))
    (place / "neurites.tif").write_bytes(b"II")
    with pytest.raises(StoreError, match=says("export.damaged")):
        next(read_export(tmp_path))


def test_the_command_says_whose_consent_is_missing_or_forbids(reviewers, tmp_path):
    ann, _ = reviewers
    traced(ann)
    line = ann.table.rows[ann.well]["line"]
    command = ["review", "export", str(ann.run.root), "--out", str(tmp_path / "t")]
    done = CliRunner().invoke(app, command)
    assert states("export.consent_unknown", done.output, line=line)
    registry = tmp_path / "lines.tsv"
    registry.write_text(f"line\tdonor\tconsent\n{line}\tD1\tGRU-NMDS\n")
    done = CliRunner().invoke(app, [*command, "--lines", str(registry)])
    assert states("export.consent_forbids", done.output, line=line)
    rows = list(csv.DictReader((tmp_path / "t" / "fields.csv").read_text().splitlines()))
    assert [(r["consent"], r["duo"], r["no_methods"]) for r in rows] == [
        ("GRU-NMDS", "DUO:0000042 DUO:0000015", "yes")
    ]
    registry.write_text("line\tdonor\nL1\t\n")
    with pytest.raises(RegistryRefused, match=says("export.registry_refused")):
        read_registry(registry)


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
