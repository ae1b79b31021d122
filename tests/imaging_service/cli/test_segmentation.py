from __future__ import annotations

import csv

import cv2
import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from tests.messages import states


def run(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(a) for a in arguments])


def test_models_list_shows_licences_and_where_the_weights_are(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path))
    shown = run("models", "list")
    assert shown.exit_code == 0
    text = " ".join(shown.output.split())
    assert "motornet" in text
    assert "shipped" in text
    assert states("models.not_here", text)
    assert "CC-BY-NC" in text


def test_models_verify_tells_by_its_exit_code(tmp_path):
    good = run("models", "verify", "motornet")
    assert good.exit_code == 0
    (tmp_path / "w.pt").write_bytes(b"no weights")
    bad = run("models", "verify", tmp_path / "w.pt")
    assert bad.exit_code == 1


def test_models_pull_without_a_network_says_where_to_put_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path))
    shown = run("models", "pull", "cyto9")
    assert shown.exit_code == 2
    text = " ".join(shown.output.replace("│", " ").split())
    assert states("weights.cannot_be_pulled", text, named="cyto9")


@pytest.fixture(scope="module")
def benched(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    return (
        run(
            "bench",
            "segmentation",
            "--engine",
            "classical",
            "--out",
            out,
            "--fields",
            "2",
            "--no-speed",
        ),
        out,
    )


def test_bench_writes_a_table_and_pictures(benched):
    shown, out = benched
    assert shown.exit_code == 0, shown.output
    assert states("bench.drawings_only", shown.output)
    with (out / "scores.csv").open() as stream:
        rows = {(r["what"], r["measure"]): float(r["value"]) for r in csv.DictReader(stream)}
    assert {
        "nuclei, medium phantoms",
        "somas, hard phantoms",
        "neurites, medium phantoms",
        "puncta, phantoms, SNR 5",
    } <= {w for w, _ in rows}
    assert all(0 <= v <= 1 for (_, measure), v in rows.items() if "%" not in measure)
    assert rows["nuclei, medium phantoms", "AP@0.5"] > 0.5
    picture = cv2.imread(str(out / "cases-classical.png"))
    assert picture.shape[1] == 3 * 600


def test_bench_of_an_unknown_engine_says_which_there_are(tmp_path):
    shown = run("bench", "segmentation", "--engine", "magic", "--out", tmp_path)
    assert shown.exit_code == 1
    assert states("engine.unknown", str(shown.exception))


def test_bench_of_a_folder_without_nuclei_says_what_it_needs(tmp_path):
    shown = run(
        "bench",
        "segmentation",
        "--engine",
        "classical",
        "--out",
        tmp_path / "o",
        "--nuclei",
        tmp_path,
        "--fields",
        "1",
        "--no-speed",
    )
    assert shown.exit_code == 1
    assert states("bench.folder_incomplete", str(shown.exception))
