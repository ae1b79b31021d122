"""What one more well costs the service: statements of SQL and files, counted.

A larger number is not an error of the well: it is a plate of 384 wells that waits, and must be
meant.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import shutil
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
FILES = {"opened": 224, "renamed": 68}


@contextlib.contextmanager
def files_below(folder):
    """The kinds of the operations on files below a folder, one per operation.

    Not by `sys.addaudithook`: a hook stays until the process ends, and before Python 3.12 a thread
    that starts under coverage while a hook runs in another one fails.
    """
    seen: list[str] = []

    def noted(kind, operation):
        def note(path, *arguments, **keywords):
            if str(path).startswith(str(folder)):
                seen.append(kind)
            return operation(path, *arguments, **keywords)

        return note

    with pytest.MonkeyPatch.context() as patch:
        # `open` is one function under two names; `pathlib` asks `io` for it.
        for place, name, kind in (
            (builtins, "open", "opened"),
            (io, "open", "opened"),
            (os, "open", "opened"),
            (os, "rename", "renamed"),
            (os, "replace", "renamed"),
        ):
            patch.setattr(place, name, noted(kind, getattr(place, name)))
        yield seen


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
        assert Counter(files) == FILES
