"""What one more well costs the service: statements of SQL and files, counted.

A larger number is not an error of the well: it is a plate of 384 wells that waits, and must be
meant.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections import Counter

import pytest
import sqlalchemy as sa

from imaging_service.database.session import database_engine
from imaging_service.jobs.durable import workflows
from imaging_service.jobs.durable.queue import submit_run
from tests.imaging_service.conftest import Here

# Of the run's well, besides what the job engine notes of its two steps.
STATEMENTS = {"SELECT": 2, "INSERT": 1}
# Two fields of three channels: pixels and labels are written as OME-Zarr of three levels, and read.
# Folders are not counted: zarr's threads ask for the same ones, as often as they meet.
FILES = {"opened": 308, "renamed": 72}
_watched: list[Counter[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    kind = {"open": "opened", "os.rename": "renamed"}.get(event)
    if kind and _watched and str(arguments[0]).startswith(_watched[0].root):
        _watched[0][kind] += 1


# An audit hook stays until the process ends.
sys.addaudithook(_note)


class Files(Counter[str]):
    """Operations on files below a folder, by their kind."""

    root = ""


@contextlib.contextmanager
def files_below(folder):
    seen = Files()
    seen.root = str(folder)
    _watched.append(seen)
    try:
        yield seen
    finally:
        _watched.clear()


@pytest.fixture
def begun(data_folder, small_inputs, small_run, monkeypatch):
    """A run whose wells wait; it was calibrated as `small_run` was."""
    run = submit_run(data_folder, small_inputs)
    monkeypatch.setattr(workflows.Context, "settings", data_folder, raising=False)
    monkeypatch.setattr(workflows.Context, "cluster", Here(), raising=False)
    folder = workflows.run_folder(data_folder, run)
    shutil.copytree(small_run / "arrival", folder.arrival)
    shutil.copy(small_run / "work" / "calibration.json", folder.calibration)
    assert workflows.begin.__wrapped__(run, 1)["status"] == "running"
    return run


def test_each_well_costs_as_many_statements_and_files_as_are_written_here(begun, data_folder):
    engine = database_engine(data_folder.url)
    for well in ("B04", "B05", "C03"):
        statements: Counter[str] = Counter()

        def count(_connection, _cursor, statement, *_, of=statements):
            of[statement.split()[0]] += 1

        sa.event.listen(engine, "before_cursor_execute", count)
        with files_below(data_folder.data_dir.resolve()) as files:
            outcome = workflows.compute_well.__wrapped__(begun, 1, well)
            workflows.commit_well.__wrapped__(begun, outcome)
        sa.event.remove(engine, "before_cursor_execute", count)
        assert (outcome["status"], outcome["n_fields"]) == ("done", 2)
        assert statements == STATEMENTS
        assert files == FILES
