"""Backups of two laboratories, and of a run that is reviewed meanwhile."""

from __future__ import annotations

import json
import shutil

import pytest
from sqlmodel import Session

from imaging_service.backups import backup as module
from imaging_service.backups.backup import back_up
from imaging_service.backups.manifest import NAME
from imaging_service.backups.restore import restore
from imaging_service.database.session import database_engine, find_run
from imaging_service.errors import BackupError, Busy
from imaging_service.jobs.durable import holding
from imaging_service.jobs.durable.opening import prepare_database
from imaging_service.jobs.durable.verbs import delete
from imaging_service.settings import Settings
from tests.imaging_service.tenants import FOREIGN_RUN, RUN, TwoLabs
from tests.messages import says


def files_of(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.suffix != ".lock"
    }


@pytest.fixture
def labs(two_labs):
    """Two laboratories whose runs, plates and uploads have files."""
    prepare_database(two_labs.settings.url)
    root = two_labs.folder
    for name, content in {
        f"runs/{RUN}/run.json": b"{}",
        f"runs/{RUN}/cells/B03.parquet": b"cells",
        f"runs/{RUN}/review/labels/B03/1/2.npz": b"labels",
        f"runs/{FOREIGN_RUN}/run.json": b"{}",
        f"runs/{'f' * 20}/run.json": b"a run that no row names",
        f"projects/als/plates/{'d' * 20}.zarr/zarr.json": b"{}",
        "projects/als/scans/plate-1/a.tif": b"pixels",
        "projects/als/screens/first/screen.toml": b"name",
        "projects/als/uploads/blobs/00": b"blob",
        "projects/als/uploads/.staged-1": b"half",
        "store.id": b"id",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    two_labs.ask("viewer", "GET", "/runs")  # makes the service's secrets
    return two_labs


def moved_away(labs: TwoLabs) -> None:
    labs.close()
    shutil.rmtree(labs.folder)


def test_a_database_that_is_not_empty_is_refused_before_a_file_is_copied(labs, tmp_path):
    back_up(labs.settings, tmp_path / "out")
    moved_away(labs)
    used = tmp_path / "used.db"
    used.write_bytes(b"another service's")
    settings = Settings(data_dir=labs.folder, database_url=f"sqlite:///{used}")
    with pytest.raises(BackupError, match=says("backup.database_in_use", path=used)):
        restore(settings, tmp_path / "out")
    assert not labs.folder.exists()
    assert used.read_bytes() == b"another service's"


def test_what_is_restored_is_what_was_backed_up_without_secrets(labs, tmp_path):
    before = files_of(labs.folder)
    made = back_up(labs.settings, tmp_path / "out")
    assert sorted(made.files) == sorted(
        name
        for name in before
        if not name.startswith(("secrets/", "service.db", f"runs/{'f' * 20}"))
        and ".staged-" not in name
    )
    assert not [name for name in files_of(tmp_path / "out") if "secret" in name]
    moved_away(labs)
    restore(labs.settings, tmp_path / "out")
    after = files_of(labs.folder)
    assert {n: c for n, c in after.items() if n in made.files} == {n: before[n] for n in made.files}
    assert [r["id"] for r in labs.ask("viewer", "GET", "/runs").json()] == [RUN]


def test_keys_work_after_a_restoration_and_the_audit_log_is_append_only(labs, tmp_path):
    labs.ask("administrator", "POST", "/projects", json={"id": "p-2"})
    back_up(labs.settings, tmp_path / "out")
    moved_away(labs)
    restore(labs.settings, tmp_path / "out")
    assert labs.ask("revoked", "GET", "/runs").status_code == 401
    assert "p-2" in labs.ask("administrator", "GET", "/audit").text
    import sqlalchemy as sa

    with labs.session() as session, pytest.raises(sa.exc.DatabaseError):
        session.execute(sa.text("DELETE FROM audit"))


def test_a_renewed_backup_copies_only_what_changed_and_drops_what_is_gone(
    labs, tmp_path, monkeypatch
):
    back_up(labs.settings, tmp_path / "out")
    (labs.folder / f"runs/{RUN}/cells/B03.parquet").write_bytes(b"corrected")
    (labs.folder / "projects/als/scans/plate-1/a.tif").unlink()
    read = []
    copied = module.copy_file

    def counted(source, target, before):
        result = copied(source, target, before)
        read.extend([source.name] if result is not before else [])
        return result

    monkeypatch.setattr(module, "copy_file", counted)
    made = back_up(labs.settings, tmp_path / "out")
    assert read == ["B03.parquet"]
    assert "projects/als/scans/plate-1/a.tif" not in made.files
    assert not (tmp_path / "out/data/projects/als/scans/plate-1/a.tif").exists()
    assert (tmp_path / f"out/data/runs/{RUN}/cells/B03.parquet").read_bytes() == b"corrected"


def test_a_backup_that_was_cut_is_no_backup(labs, tmp_path, monkeypatch):
    back_up(labs.settings, tmp_path / "out")

    def cut(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "copy_file", cut)
    with pytest.raises(KeyboardInterrupt):
        back_up(labs.settings, tmp_path / "out")
    with pytest.raises(BackupError):
        restore(labs.settings, tmp_path / "out")
    monkeypatch.undo()
    back_up(labs.settings, tmp_path / "out")
    moved_away(labs)
    restore(labs.settings, tmp_path / "out")


@pytest.mark.parametrize("what", ["a file", "a file that is gone", "the database", "the manifest"])
def test_a_backup_that_was_changed_is_refused(labs, tmp_path, what):
    out = tmp_path / "out"
    back_up(labs.settings, out)
    file = out / "data" / f"runs/{RUN}/run.json"
    if what == "a file":
        file.write_bytes(b"{ }")
    elif what == "a file that is gone":
        file.unlink()
    elif what == "the database":
        with (out / "database.sqlite").open("ab") as stream:
            stream.write(b"x")
    else:
        (out / NAME).write_text("{")
    moved_away(labs)
    with pytest.raises(BackupError):
        restore(labs.settings, out)
    assert not (labs.folder / "service.db").exists()


def test_nothing_is_restored_over_what_is_there_or_under_another_path(labs, tmp_path):
    back_up(labs.settings, tmp_path / "out")
    with pytest.raises(BackupError):
        restore(labs.settings, tmp_path / "out")
    elsewhere = Settings(data_dir=tmp_path / "elsewhere")
    with pytest.raises(BackupError):
        restore(elsewhere, tmp_path / "out")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_none_of_a_backup_is_left_alone(labs, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").write_text("x")
    for folder in (tmp_path / "papers", labs.folder / "backup"):
        with pytest.raises(BackupError):
            back_up(labs.settings, folder)
    assert (tmp_path / "papers" / "thesis.tex").read_text() == "x"


def test_a_run_is_not_deleted_while_a_backup_copies_it(labs, tmp_path, monkeypatch):
    monkeypatch.setattr(holding, "_PATIENCE_S", 0.01)
    with labs.session() as session:
        find_run(session, RUN).state = "failed"
        session.commit()
    refused = []
    copied = module.copy_file

    def deleting(source, target, before):
        if not refused:
            with pytest.raises(Busy), labs.session() as session:
                delete(labs.settings, session, RUN)
            refused.append(source)
        return copied(source, target, before)

    monkeypatch.setattr(module, "copy_file", deleting)
    made = back_up(labs.settings, tmp_path / "out")
    assert refused
    assert f"runs/{RUN}/run.json" in made.files
    with labs.session() as session:
        delete(labs.settings, session, RUN)
    assert not (labs.folder / "runs" / RUN).exists()


def test_what_is_written_after_the_snapshot_is_of_rows_that_it_does_not_have(
    labs, tmp_path, monkeypatch
):
    """A cancelled run and one that goes on, whose files say something else by then."""
    taken = module.snapshot

    def then_more(url, folder):
        file = taken(url, folder)
        assert labs.ask("operator", "POST", f"/runs/{RUN}/cancel").status_code == 202
        return file

    monkeypatch.setattr(module, "snapshot", then_more)
    back_up(labs.settings, tmp_path / "out")
    moved_away(labs)
    restore(labs.settings, tmp_path / "out")
    # The rows count: the run goes on.
    assert labs.ask("viewer", "GET", f"/runs/{RUN}").json()["state"] == "queued"
    assert list((labs.folder / "runs" / RUN).rglob("*cancel*")) == []


def test_the_manifest_says_what_it_is_of(labs, tmp_path):
    back_up(labs.settings, tmp_path / "out")
    content = json.loads((tmp_path / "out" / NAME).read_text())
    assert content["data_dir"] == str(labs.folder)
    assert content["database"] == "database.sqlite"


def test_a_review_that_is_newer_than_its_tables_is_taken_in(labs, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "imaging_service.backups.restore.request_review", lambda _settings, run: asked.append(run)
    )
    monkeypatch.setattr(
        "imaging_service.backups.restore.ReviewLog",
        lambda root: type("Log", (), {"revision": lambda self: 3 if RUN in str(root) else 1})(),
    )
    with Session(database_engine(labs.settings.url)) as session:
        for run in (RUN, FOREIGN_RUN):
            find_run(session, run).state = "done"
        session.commit()
    back_up(labs.settings, tmp_path / "out")
    moved_away(labs)
    restore(labs.settings, tmp_path / "out")
    assert asked == [RUN]
