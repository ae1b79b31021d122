"""The example for R: it runs where R is installed, and asks what the service answers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from phenotypes.columns.dictionary import columns
from tests.imaging_service.browser_pages import serving
from tests.imaging_service.conftest import LOCAL_TOKEN


@pytest.fixture(scope="module")
def script(repository):
    return (repository / "examples" / "r" / "responses.R").read_text("utf-8")


def test_what_it_asks_for_is_answered(site, script):
    asked = re.findall(r'table_of\("(\w+)"(?:, "([^"]+)")?\)', script)
    assert len(asked) == 3
    for name, query in asked:
        for fmt in ("arrow", "csv&limit=10000"):
            answer = site.get(f"/runs/RUN/tables/{name}?{query}&format={fmt}")
            assert answer.status_code == 200, (name, query, answer.text)
    # What it takes for the mark before the first column.
    assert answer.content[:3] == b"\xef\xbb\xbf"


def test_its_columns_are_those_of_the_tables(script):
    used = set(re.findall(r"(?:responses|curves)\$(\w+)", script))
    assert used == {
        "status", "line", "compound", "phenotype", "ec50_molar", "ec50_low", "ec50_high",
    }  # fmt: skip
    assert used <= set(columns("response"))
    assert set(re.findall(r"columns=([\w,]+)\"", script)[-1].split(",")) <= set(columns("quality"))


def test_it_runs_where_r_is_installed(site, repository):
    rscript = shutil.which("Rscript")
    if rscript is None:
        return
    with serving(site.application) as address:
        ended = subprocess.run(
            [rscript, str(repository / "examples" / "r" / "responses.R"), address, site.run],
            env=os.environ | {"IMAGING_SERVICE_KEY": LOCAL_TOKEN},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert ended.returncode == 0, ended.stderr
    rows = site.get("/runs/RUN/responses").json()
    assert ended.stdout.startswith(f"{len(rows)} rows")
    assert all(row["status"] in ended.stdout for row in rows)
