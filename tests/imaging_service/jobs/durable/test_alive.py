from __future__ import annotations

import os
import time
from pathlib import Path

from sqlmodel import Session, select

from imaging_service.database.session import database_engine
from imaging_service.database.tables import WorkerRow
from imaging_service.jobs.durable import alive
from imaging_service.settings import Settings


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def other(settings, seen):
    with Session(database_engine(settings.url)) as session:
        session.merge(
            WorkerRow(name="b", host="h", process=1, version="v", seen=seen, state="working")
        )
        session.commit()


def test_a_worker_says_that_it_lives_and_what_it_waits_for(data_folder, monkeypatch):
    beat = alive.Beat(data_folder, lambda _: 0)
    for reason, state in (("", "working"), ("no space left", "no space left")):
        monkeypatch.setattr(alive, "shortage", lambda _, reason=reason: reason)
        beat.once()
        with Session(database_engine(data_folder.url)) as session:
            (row,) = session.exec(select(WorkerRow)).all()
        assert (row.name, row.process, row.state) == (
            alive.name_of(data_folder),
            os.getpid(),
            state,
        )
        assert abs(row.seen - time.time()) < 10


def test_a_worker_whose_row_does_not_change_is_taken_over_from(data_folder):
    """By this machine's clock: the other one's may be hours off."""
    taken, clock = [], Clock()
    beat = alive.Beat(data_folder, lambda name: taken.append(name) or 1, clock)
    for now, seen, expected in (
        (0, 5.0, []),
        (59, 5.0, []),
        (60, 6.0, []),
        (119, 6.0, []),
        (121, 6.0, ["b"]),
    ):
        clock.now = now
        other(data_folder, seen)
        beat.once()
        assert taken == expected, now


def test_a_dead_worker_is_noticed_within_two_minutes():
    assert alive.DEAD_S + 2 * alive.BEAT_S < 120


def test_names_are_the_machine_s_or_given():
    assert alive.name_of(Settings(worker_name="gpu-1")) == "gpu-1"
    assert alive.name_of(Settings())


def test_scratch_of_killed_attempts_is_removed_and_of_living_ones_kept(tmp_path):
    places = [
        "plates/p.zarr/.staged-1",
        "plates/p.zarr/B/.staged-2",
        "runs/r/.staged-3",
        "runs/r/labels.zarr/.staged-4",
        "runs/r/labels.zarr/B/.staged-5",
        Path("runs/r", "work", ".staged-6"),
    ]
    for place in places:
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "chunk").touch()
    assert alive.sweep_orphans(tmp_path, time.time()) == 0
    assert alive.sweep_orphans(tmp_path, time.time() + alive.ORPHANED_S + 60) == 6
    assert not list(tmp_path.rglob(".staged-*"))
