"""The example for R, run by R on a service whose names R would take for numbers."""

from __future__ import annotations

import os
import re
import subprocess
from typing import get_args

import polars as pl
import pytest

from imaging_service.frames import Table, read_table
from phenotypes.columns.dictionary import columns, conform
from tests.imaging_service.browser_pages import serving
from tests.imaging_service.conftest import LOCAL_TOKEN
from tests.messages import states
from tests.rscript import rscript

# The example as far as its functions, then every table by columns: texts as code points, which no
# locale changes, and numbers with all their digits.
EVERY_TABLE = """
example <- parse(Sys.getenv("EXAMPLE"), encoding = "UTF-8")
begins <- sapply(example, function(part) deparse(part)[1] == 'responses <- table_of("responses")')
for (part in example[seq_len(which(begins) - 1)]) eval(part)
shown <- function(value) {
  if (is.na(value)) return("-")
  if (is.character(value)) return(paste(utf8ToInt(value), collapse = " "))
  if (is.logical(value)) return(if (value) "true" else "false")
  sprintf("%.17g", value)
}
for (name in strsplit(Sys.getenv("TABLES"), " ")[[1]]) {
  rows <- table_of(name)
  for (column in names(rows)) {
    values <- vapply(rows[[column]], shown, "", USE.NAMES = FALSE)
    cat(paste(c(name, column, values), collapse = "\\t"), "\\n", sep = "")
  }
}
"""
# As a spreadsheet, R or a locale would have them otherwise.
NAMES = [("007", "+/+", "T"), ("1e5", "SOD1 βµ", 'a "b", c'), ("NA", "T", "-1\n2")]
EC50 = [3.123456789012345e-06, 1.0000000000000002e-09, None]


@pytest.fixture(scope="module")
def script(repository):
    return repository / "examples" / "r" / "responses.R"


@pytest.fixture
def awkward(served):
    """A service with a finished run, of which three lines have names to stumble over and curves."""
    path = served.folder / "responses.parquet"
    first = pl.read_parquet(path).row(0, named=True)
    rows = [
        first
        | {"line": line, "genotype": genotype, "compound": compound}
        | {"status": "ok", "reason": "", "ec50_molar": ec50, "ec50_low": ec50}
        for (line, genotype, compound), ec50 in zip(NAMES, EC50, strict=True)
    ]
    refused = first | {"status": "flat", "reason": "between 1 µM and 3 µM"}
    conform(pl.DataFrame([*rows, refused]), "response").write_parquet(path)
    return served


def run_r(served, program, **more):
    """How R ends over the service's run, in the plainest of locales."""
    with serving(served.application) as address:
        return subprocess.run(
            [rscript(), str(program), address, served.run],
            env=os.environ | {"IMAGING_SERVICE_KEY": LOCAL_TOKEN, "LC_ALL": "C"} | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def printed_by_r(served, program, **more):
    ended = run_r(served, program, **more)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_what_it_asks_for_is_answered(site, script):
    asked = re.findall(r'table_of\("(\w+)"(?:, "([^"]+)")?\)', script.read_text("utf-8"))
    assert len(asked) == 3
    for name, query in asked:
        for fmt in ("arrow", "csv&limit=10000"):
            answer = site.get(f"/runs/RUN/tables/{name}?{query}&format={fmt}")
            assert answer.status_code == 200, (name, query, answer.text)
    # What it takes for the mark before the first column.
    assert answer.content[:3] == b"\xef\xbb\xbf"


def test_its_columns_are_those_of_the_tables(script):
    text = script.read_text("utf-8")
    used = set(re.findall(r"(?:responses|curves)\$(\w+)", text))
    assert used == {
        "status",
        "line",
        "compound",
        "phenotype",
        "ec50_molar",
        "ec50_low",
        "ec50_high",
    }
    assert used <= set(columns("response"))
    assert set(re.findall(r"columns=([\w,]+)\"", text)[-1].split(",")) <= set(columns("quality"))


def test_it_prints_every_row_and_the_curves_by_potency(awkward, script):
    printed = printed_by_r(awkward, script)
    assert states("r.rows", printed, n=4)
    assert printed.splitlines()[2:8] == [
        "status",
        "flat   ok ",
        "   1    3 ",
        " line compound    phenotype ec50  low high",
        '  1e5 a "b", c live_density    1    1   NA',
        "  007        T live_density 3120 3120   NA",
    ]


def test_a_table_of_more_than_a_page_is_refused_without_arrow(awkward, script, tmp_path):
    text = script.read_text("utf-8").replace("largest_page <- 10000", "largest_page <- 4")
    program = tmp_path / "small.R"
    program.write_text("requireNamespace <- function(...) FALSE\n" + text, "utf-8")
    ended = run_r(awkward, program)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert states("r.more_than_a_page", " ".join(ended.stderr.split()), n=4)


def test_every_table_is_read_in_r_as_in_python(awkward, script, tmp_path):
    client = awkward.client()
    frames = {name: read_table(client, awkward.run, name) for name in get_args(Table)}
    program = tmp_path / "tables.R"
    program.write_text(EVERY_TABLE)
    printed = printed_by_r(awkward, program, EXAMPLE=str(script), TABLES=" ".join(frames))
    read = {}
    for line in printed.splitlines():
        name, column, *values = line.split("\t")
        read[name, column] = values
    assert set(read) == {(name, c) for name, frame in frames.items() for c in frame.columns}
    for (name, column), values in read.items():
        expected = frames[name][column]
        assert len(values) == len(expected), (name, column)
        if expected.dtype == pl.String:
            codes = [" ".join(str(ord(c)) for c in v or "") or "-" for v in expected]
            assert values == codes, (name, column)
        elif expected.dtype == pl.Boolean:
            assert values == [{None: "-", True: "true", False: "false"}[v] for v in expected]
        else:
            numbers = [float("nan") if v == "-" else float(v) for v in values]
            there = [float("nan") if v is None else v for v in expected]
            same = pytest.approx(there, rel=1e-12, abs=0, nan_ok=True)
            assert numbers == same, (name, column)
    assert [float(v) for v in read["responses", "ec50_molar"][:2]] == pytest.approx(
        EC50[:2], rel=1e-15, abs=0
    )
