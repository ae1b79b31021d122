from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.database.over_runs import named_over_runs, rows_over_runs
from imaging_service.database.session import ProjectSession, database_engine
from imaging_service.database.tables import PlateRow, RunRow, TableRow
from imaging_service.database.tenants import LOCAL_LAB, LabRow, ProjectRow


def written(run, line="L1", compound="x", kind="responses", revision=1, position=0):
    return TableRow(
        run_id=run,
        revision=revision,
        kind=kind,
        position=position,
        line=line,
        compound=compound,
        phenotype="p" if kind == "responses" else "",
        content=f'{{"of":"{run}{revision}{position}"}}',
    )


@pytest.fixture
def engine(data_folder):
    """Plate A with an old, a new and a running run, plate B of another project."""
    made = database_engine(data_folder.url)
    with Session(made) as session:
        session.add(ProjectRow(id="other", lab_id=LOCAL_LAB, name="other"))
        session.flush()
        for plate, project in (("A", "default"), ("B", "other")):
            session.add(
                PlateRow(
                    id=plate,
                    project_id=project,
                    name=plate,
                    rows=8,
                    columns=12,
                    channels="[]",
                    pixel_size_um=0.5,
                )
            )
        session.flush()
        for run, plate, day, state in (
            ("old", "A", 1, "done"),
            ("new", "A", 2, "done"),
            ("going", "A", 3, "running"),
            ("foreign", "B", 4, "done"),
        ):
            session.add(
                RunRow(
                    id=run,
                    project_id="default" if plate == "A" else "other",
                    plate_id=plate,
                    protocol_name="q",
                    engine="classical",
                    n_wells=1,
                    n_skipped=0,
                    state=state,
                    submitted_at=datetime(2026, 1, day, tzinfo=UTC),
                    revision=2 if run == "new" else 1,
                )
            )
        session.flush()
        for run in ("old", "new", "going", "foreign"):
            revision = 2 if run == "new" else 1
            session.add(written(run, revision=revision))
            session.add(written(run, compound="y", revision=revision, position=1))
            session.add(written(run, compound="DMSO", kind="wells", revision=revision))
        # Rows from before a review count no more.
        session.add(written("new"))
        session.commit()
    return made


def of(rows):
    return [(r.plate, r.content) for r in rows]


def test_rows_are_those_of_done_runs_at_their_newest_labels_the_newest_run_first(engine):
    with ProjectSession(engine, ["default"]) as session:
        rows = rows_over_runs(session, "responses", {"line": "L1", "status": ""})
        assert of(rows) == [
            ("A", '{"of":"new20"}'),
            ("A", '{"of":"new21"}'),
            ("A", '{"of":"old10"}'),
            ("A", '{"of":"old11"}'),
        ]
        assert (rows[0].run, rows[0].protocol) == ("new", "q")
        part = rows_over_runs(session, "responses", {"line": "L1"}, first=1, count=2)
        assert part == rows[1:3]


def test_only_the_newest_run_of_a_plate_counts_if_asked(engine):
    with ProjectSession(engine, ["default", "other"]) as session:
        rows = rows_over_runs(session, "responses", {"compound": "x"}, newest=True)
        assert of(rows) == [("B", '{"of":"foreign10"}'), ("A", '{"of":"new20"}')]
        few = rows_over_runs(session, "responses", {"compound": "x"}, runs=["old"])
        assert of(few) == [("A", '{"of":"old10"}')]


def test_rows_of_other_projects_do_not_exist(engine):
    for projects, runs in ((["other"], {"foreign"}), ([], set())):
        with ProjectSession(engine, projects) as session:
            assert {r.run for r in rows_over_runs(session, "responses", {"line": "L1"})} == runs
            assert [n.runs for n in named_over_runs(session, "line")] == [1] * len(runs)


def test_names_are_counted_by_plate_and_run(engine):
    with ProjectSession(engine, ["default", "other"]) as session:
        (line,) = named_over_runs(session, "line")
        assert (line.name, line.plates, line.runs, line.newest.day) == ("L1", 2, 3, 4)
        assert [n.name for n in named_over_runs(session, "compound")] == ["DMSO"]


def test_a_name_of_two_laboratories_is_two(engine):
    with Session(engine) as session:
        session.add(LabRow(id="beta", name="beta"))
        session.flush()
        session.get_one(ProjectRow, "other").lab_id = "beta"
        session.commit()
    with ProjectSession(engine, ["default", "other"]) as session:
        lines = [(n.name, n.lab, n.plates, n.runs) for n in named_over_runs(session, "line")]
        assert lines == [("L1", "beta", 1, 1), ("L1", LOCAL_LAB, 1, 2)]
        newest = named_over_runs(session, "line", "L1", newest=True)
        assert [(n.lab, n.runs) for n in newest] == [("beta", 1), (LOCAL_LAB, 1)]
        assert named_over_runs(session, "line", "L2") == []
        (row,) = rows_over_runs(session, "responses", {"compound": "x"}, lab="beta")
        assert (row.run, row.project, row.lab) == ("foreign", "other", "beta")


def test_names_are_counted_without_reading_a_row(engine):
    """A row holds kilobytes, and ten thousand runs have millions."""
    statements = []
    with ProjectSession(engine, ["default", "other"]) as session:
        sa.event.listen(
            engine, "before_cursor_execute", lambda *a: statements.append((a[2], a[3])), named=False
        )
        for kind in ("line", "compound"):
            named_over_runs(session, kind)
        plans = [
            "".join(
                str(r[3])
                for r in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {s}", p)
            )
            for s, p in statements[:2]
        ]
    assert [re.findall(r"COVERING INDEX (\w+) \(kind=", plan) for plan in plans] == [
        ["by_kind_and_line"],
        ["by_kind_and_compound"],
    ]
