from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.review.crops import Crop
from imaging_service.review.local import LocalRun
from imaging_service.schemas import Verdict
from tests.messages import states


def run(*arguments):
    return CliRunner().invoke(app, ["review", *map(str, arguments)])


@pytest.fixture
def reviewed(own_run):
    local = LocalRun(own_run)
    first = int(np.unique(local.engine_labels("B04", 1)["nuclei"])[1])
    nuclei = local.engine_labels("B04", 1)["nuclei"].copy()
    somas = local.engine_labels("B04", 1)["somas"].copy()
    nuclei[nuclei == first], somas[somas == first] = 0, 0
    local.commit(
        "B04", 1, 1, [Crop("nuclei", 0, 0, nuclei), Crop("somas", 0, 0, somas)], "ann", "debris"
    )
    local.judge(
        Verdict(
            well="B05",
            field=2,
            accepted=False,
            author="ann",
            reason="blurred",
            time=datetime.now(UTC),
        )
    )
    return own_run


def test_the_queue_is_printed_and_written(own_run):
    (own_run / "review" / "queue.csv").unlink()
    shown = run("queue", own_run, "--most", 3)
    assert shown.exit_code == 0, shown.output
    assert len(shown.output.splitlines()) == 4
    assert pl.read_csv(own_run / "review" / "queue.csv").height == 12


def test_what_was_said_is_listed_in_order(reviewed):
    lines = run("history", reviewed).output.splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "ann: B04 field 1 version 2 of 1 (nuclei, somas) debris",
        "ann: B05 field 2 rejected blurred",
    ]
    assert run("history", reviewed, "--reading", "bob").output == ""


def test_applying_measures_what_was_corrected_and_leaves_out_what_was_rejected(reviewed):
    done = run("apply", reviewed)
    assert done.exit_code == 0, done.output
    assert states("review.applied", done.output, revision=3, fields="B04 field 1", lines="L1")
    before, after = (
        pl.read_parquet(f / "wells.parquet") for f in (reviewed, reviewed / "corrected")
    )
    counts = dict(
        zip(
            before["well"],
            zip(before["nuclei_count"], after["nuclei_count"], strict=True),
            strict=True,
        )
    )
    assert counts["B04"][1] == counts["B04"][0] - 1
    assert counts["B05"][1] < counts["B05"][0]
    assert all(a == b for well, (a, b) in counts.items() if well not in ("B04", "B05"))
    assert json.loads((reviewed / "corrected" / "corrected.json").read_text())["revision"] == 3


def test_agreement_of_the_engine_with_the_reviewer(reviewed, tmp_path):
    shown = run("agreement", reviewed, "--out", tmp_path / "a.json")
    assert shown.exit_code == 0, shown.output
    found = json.loads((tmp_path / "a.json").read_text())
    field = next(f for f in found["fields"] if f["well"] == "B04")
    assert (field["n_first"], field["matched"]) == (field["n_second"] - 1, field["n_first"])
    assert run("agreement", reviewed, "--readings", "ann").exit_code == 2


def test_only_what_was_not_rejected_is_exported(reviewed, tmp_path):
    assert run("export", reviewed, "--out", tmp_path / "t").exit_code == 0
    assert pl.read_csv(tmp_path / "t" / "manifest.csv").select(
        "well", "field", "label_version"
    ).rows() == [("B04", 1, 2)]


@pytest.mark.parametrize("command", ["queue", "apply", "history", "agreement"])
def test_a_folder_that_is_no_run_is_refused(command, tmp_path):
    assert run(command, tmp_path).exit_code != 0
