"""What lies in an export."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime

import polars as pl
import pytest

from imaging_service.errors import NotFound, NotReady
from imaging_service.jobs.exports import bundle
from imaging_service.jobs.exports.bundle import (
    ExportOrder,
    lay_out,
    tables_of,
    write_table,
    zip_tables,
)
from imaging_service.store.tables import columns_dictionary, csv_bytes
from tests.messages import says


def written(folder, source, fmt, *names):
    order = ExportOrder(
        project="default",
        run="f" * 64,
        screen="",
        revision=1,
        attempt=1,
        submitted_at=datetime(2026, 1, 1, tzinfo=UTC),
        tables=names,
        format=fmt,
    )
    lay_out(order, folder)
    for number in range(len(names)):
        write_table(folder, source, number)
    size, digest = zip_tables(folder)
    path = folder / f"{order.id}.zip"
    assert (size, digest) == (
        path.stat().st_size,
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert sorted(p.name for p in folder.iterdir()) == sorted([path.name, "order.json"])
    return path


READ = {
    "csv": lambda b: b,
    "parquet": lambda b: pl.read_parquet(io.BytesIO(b)),
    "arrow": lambda b: pl.read_ipc_stream(io.BytesIO(b)),
}


@pytest.mark.parametrize("fmt", ["csv", "parquet", "arrow"])
def test_an_export_holds_its_tables_their_columns_and_what_they_are_of(
    three_written, tmp_path, fmt, monkeypatch
):
    # A part of a CSV at a time; the wells are more than one part.
    monkeypatch.setattr(bundle, "_ROWS", 7)
    run = three_written[0]
    table = pl.read_parquet(run / "wells.parquet")
    assert len(table) > 14
    path = written(tmp_path / "a", run, fmt, "wells", "quality")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            f"wells.{fmt}",
            f"quality.{fmt}",
            "columns.tsv",
            "export.json",
        ]
        content = archive.read(f"wells.{fmt}")
        read = READ[fmt](content)
        assert read == csv_bytes(table) if fmt == "csv" else read.equals(table)
        assert archive.read("columns.tsv").decode() == columns_dictionary()
        described = json.loads(archive.read("export.json"))
    assert described["sha256"][f"wells.{fmt}"] == hashlib.sha256(content).hexdigest()
    assert (described["run"], described["revision"]) == ("f" * 64, 1)
    again = written(tmp_path / "b", run, fmt, "wells", "quality")
    assert again.name == path.name
    assert again.read_bytes() == path.read_bytes()


def test_a_table_that_is_gone_or_that_a_review_changed_is_refused(
    three_written, tmp_path, monkeypatch
):
    run = three_written[0]
    with pytest.raises(NotFound, match=says("export.table_gone")):
        written(tmp_path / "a", run, "csv", "nothing")
    state = bundle.review_state(run)
    monkeypatch.setattr(
        bundle, "review_state", lambda _: state.model_copy(update={"applied": 2, "revision": 2})
    )
    with pytest.raises(NotReady, match=says("export.reviewed_since")):
        written(tmp_path / "b", run, "csv", "wells")
    assert list((tmp_path / "b" / "tables").iterdir()) == []


def test_tables_are_those_that_a_run_has(three_written):
    names = [p.stem for p in three_written[0].glob("*.parquet")]
    assert sorted(tables_of(three_written[0], run=True)) == sorted(
        n for n in names if n in bundle.RUN_TABLES
    )


def test_a_kill_after_the_tables_were_removed_leaves_a_zip_that_counts(three_written, tmp_path):
    path = written(tmp_path / "a", three_written[0], "csv", "wells", "quality")
    content = path.read_bytes()
    assert zip_tables(tmp_path / "a") == (len(content), hashlib.sha256(content).hexdigest())
    assert path.read_bytes() == content


def test_two_processes_that_zip_one_export_leave_one_whole_zip(
    three_written, tmp_path, monkeypatch
):
    folder, text = tmp_path / "a", bundle._add_text
    again = []

    def other(archive, name, content):
        # The other one begins, and ends, while this one writes.
        if not again:
            again.append(True)
            again.append(zip_tables(folder))
        text(archive, name, content)

    monkeypatch.setattr(bundle, "_add_text", other)
    # The slower one is tried again, as after any loss of its files.
    with pytest.raises(FileNotFoundError):
        written(folder, three_written[0], "csv", "wells")
    assert zip_tables(folder) == again[1]
    path = folder / f"{bundle.read_order(folder).id}.zip"
    assert again[1] == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert sorted(p.name for p in folder.iterdir()) == sorted([path.name, "order.json"])
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
