from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from imaging_service.cli.main import _FIRST, app
from imaging_service.schemas import Progress, Run


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "imaging_service.cli", *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_and_imports_nothing_heavy():
    out = run("--help").stdout
    for command in ("analyze", "phantom", "demo", "serve", "worker", "submit", "status"):
        assert command in out
    code = (
        "import sys, imaging_service.cli; print([m for m in"
        " ('numpy','polars','pydantic','httpx','rich.progress','fastapi','dbos') if m in"
        " sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_help_begins_with_what_a_laboratory_needs_first():
    named = [line.split()[0] for line in run("--help").stdout.split("Commands:\n")[1].splitlines()]
    commands = [name for name in named if name in _FIRST]
    assert commands == _FIRST
    assert set(_FIRST) == set(typer.main.get_command(app).commands)


def test_client_and_schemas_import_without_the_service():
    code = (
        "import sys, imaging_service.client, imaging_service.schemas, napari_plugin.session;"
        " print([m for m in ('torch','cellpose','fastapi','sqlmodel','polars','cv2','zarr') if m in"
        " sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_a_server_says_that_it_starts_before_its_imports():
    code = (
        "import sys; sys.modules['imaging_service.api.server'] = None;"
        " from imaging_service.cli.main import app; app(['serve'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (1, "starting …")
    assert "imaging_service.api.server" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            (
                "analyze",
                "/nowhere",
                "--plate-map",
                "m.csv",
                "--protocol",
                "p.toml",
                "--out",
                "{tmp}/o",
            ),
            "there is no protocol file p.toml",
        ),
        (("serve", "--host", "0.0.0.0"), "refusing to listen on 0.0.0.0"),
        (
            ("analyze", "{tmp}", "--plate-map", "m", "--protocol", "p", "--out", "{tmp}/o"),
            "{tmp}/o lies in the scan {tmp}, which is never written to",
        ),
        (
            ("analyze", "{tmp}/s", "--plate-map", "m", "--protocol", "p", "--out", "{tmp}/file"),
            "{tmp}/file: File exists; a file is where a folder is needed",
        ),
        (
            ("analyze", "{tmp}/s", "--plate-map", "m", "--protocol", "{tmp}", "--out", "{tmp}/o"),
            "protocol {tmp} cannot be read: Is a directory",
        ),
    ],
)
def test_errors_are_one_message_without_traceback(words, says, tmp_path):
    (tmp_path / "file").write_text("")
    result = run(*(w.format(tmp=tmp_path) for w in words))
    assert result.returncode == 2
    assert says.format(tmp=tmp_path) in result.stderr
    assert "Traceback" not in result.stderr


def run_on_plate(number, **changed):
    return Run(
        id=f"{number:x}" * 64,
        plate_id="p",
        plate_name=f"a-plate-with-a-name-of-{number}-longer-than-a-column",
        protocol_name="endpoint",
        engine="classical",
        submitted_at="2026-01-01T00:00:00Z",
        **changed,
    )


def test_80_columns_hold_whole_ids_and_counts_and_reasons_stand_below(monkeypatch):
    reason = "well B04: " + "the scan holds no image of channel 2; " * 5
    runs = [
        run_on_plate(11, state="done", progress=Progress(done=1024)),
        run_on_plate(12, state="cancelled", progress=Progress(left=1536, failed=7), reason=reason),
    ]

    class Service:
        def __init__(self, url):
            assert url.startswith("http")

        def __enter__(self):
            return self

        def __exit__(self, *raised):
            return None

        def runs(self):
            return runs

    monkeypatch.setattr("imaging_service.client.Client", Service)
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["status"])
    *table, below = shown.stdout.splitlines()
    assert below == f"{'c' * 12}: {reason}"
    assert {len(line) for line in table} <= set(range(81))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table if "│" in line]
    firsts = [[row[0], *row[2:]] for row in rows if row[0]]
    assert firsts == [
        ["b" * 12, "done", "1024", "0", "0", "0"],
        ["c" * 12, "cancelled", "0", "7", "0", "1536"],
    ]
    assert "".join(row[1] for row in rows) == runs[0].plate_name + runs[1].plate_name
