from __future__ import annotations

import subprocess
import sys

import pytest


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
    ],
)
def test_errors_are_one_message_without_traceback(words, says, tmp_path):
    result = run(*(w.format(tmp=tmp_path) for w in words))
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
