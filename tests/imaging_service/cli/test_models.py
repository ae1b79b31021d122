from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.models import training
from tests.messages import states


def run(*arguments):
    return CliRunner(env={"COLUMNS": "400"}).invoke(app, [str(a) for a in arguments])


@pytest.fixture
def asked(monkeypatch):
    """What training was asked for; nothing is trained."""
    log = {}
    monkeypatch.setattr(
        training, "train_model", lambda fields, out, **more: log.update(more, fields=fields)
    )
    return log


@pytest.fixture
def export(own_run, tmp_path):
    """A run's export of two fields of two lines, one of whose consents forbids training."""
    from datetime import UTC, datetime

    from imaging_service.jobs.review.export import export_training, read_registry
    from imaging_service.review.log import ReviewLog
    from imaging_service.schemas import Verdict

    log = ReviewLog(own_run)
    for well in ("B02", "C02"):
        log.judge(Verdict(well=well, field=1, accepted=True, author="ann", time=datetime.now(UTC)))
    registry = tmp_path / "lines.tsv"
    registry.write_text("line\tdonor\tconsent\nL1\tD1\tHMB-NMDS\nL2\tD2\tGRU\n")
    export_training(own_run, tmp_path / "export", read_registry(registry), "lines.tsv")
    return tmp_path / "export"


def test_train_leaves_out_what_consent_forbids_and_says_so(export, tmp_path, asked):
    done = run("models", "train", "--fields", export, "--out", tmp_path / "m", "--steps", 7)
    assert done.exit_code == 0
    assert [f.record.line for f in asked["fields"]] == ["L2"]
    assert states(
        "models.consent_forbids", done.output, place="left out: Small-1 B02 field 1", line="L1"
    )
    assert len(asked["left_out"]) == 1
    assert asked["effort"].steps == 7


def test_train_reads_the_registry_as_it_is_today(export, tmp_path, asked):
    registry = tmp_path / "lines.tsv"
    registry.write_text("line\tdonor\tconsent\nL2\tD2\tGRU-NMDS\n")
    done = run("models", "train", "--fields", export, "--out", tmp_path / "m", "--lines", registry)
    assert done.exit_code == 0
    assert asked["fields"] == []


def model(tmp_path, after):
    """A model's folder with evidence of an accuracy after the training."""
    from segmentation.engines.weights import sha256_of

    folder = tmp_path / "models" / "assay-1"
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"weights")
    part = {"held_out": {}, "benchmark": {"neurite_f1": 0.9}}
    evidence = {"before": {"accuracy": 0.8} | part, "after": {"accuracy": after} | part}
    content = {
        "name": "assay-1",
        "licence": "BSD-3-Clause",
        "training_data": "eight fields",
        "origin": "training",
        "weights_sha256": sha256_of(folder / "weights.safetensors"),
        "parent": {"name": "motornet", "sha256": "ab" * 32},
        "plan": {"steps": 2, "seed": 0},
        "best_step": 2,
        "ended": "all steps were taken",
        "device": "cpu",
        "software_version": "0",
        "split": {"level": "plate", "train": [], "held_out": []},
        "consent": {},
        "left_out": [],
        "evidence": evidence | {"phenotypes": []},
    }
    (folder / "lineage.json").write_text(json.dumps(content))
    return folder


def test_promote_tells_by_its_exit_code(tmp_path):
    better = model(tmp_path / "good", 0.9)
    done = run("models", "promote", better, "--by", "ann")
    assert done.exit_code == 0
    assert json.loads((better / "decision.json").read_text())["by"] == "ann"
    worse = model(tmp_path / "bad", 0.7)
    refused = run("models", "promote", worse, "--by", "ann")
    assert refused.exit_code == 1
    assert states("models.does_not_improve", refused.output, level="plate")


def test_list_and_show_name_a_laboratorys_models(tmp_path):
    folder = model(tmp_path, 0.9)
    text = " ".join(run("models", "list", folder.parent).output.split())
    assert "assay-1" in text
    assert "candidate" in text
    assert run("models", "show", folder).output.startswith("# assay-1\n")
    assert run("models", "show", tmp_path).exit_code != 0
