"""The steps of the durable workflows, called one by one in this process."""

from __future__ import annotations

import json
import shutil
import threading

import polars as pl
import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from imaging_service.database.session import database_engine, table_content
from imaging_service.database.tables import RunRow, WellRow
from imaging_service.errors import Cancelled, ImageError, MachineError, Unavailable
from imaging_service.jobs.durable import workflows
from imaging_service.jobs.durable.queue import submit_run
from imaging_service.jobs.records import WellOutcome
from tests.imaging_service.conftest import Here
from tests.messages import says, states


@pytest.fixture
def session(served):
    with Session(database_engine(served.settings.url)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (MachineError("process lost"), True),
        (OSError(28, "No space left on device"), True),
        (sa.exc.OperationalError("locked", None, Exception()), True),
        (sa.exc.TimeoutError("no connection is left"), True),
        (ImageError("blank"), False),
        (ValueError("bad data"), False),
        (sa.exc.IntegrityError("twice", None, Exception()), False),
    ],
)
def test_only_what_the_machine_did_is_worth_another_attempt(error, again):
    assert workflows.worth_retrying(error) is again


def test_a_run_begins_with_the_wells_that_have_not_ended(data_folder, small_inputs, monkeypatch):
    run = submit_run(data_folder, small_inputs)
    calls = []

    class Cluster(Here):
        def run(self, function, *args, key):
            calls.append((function.__name__, key))

    monkeypatch.setattr(workflows.Context, "settings", data_folder, raising=False)
    monkeypatch.setattr(workflows.Context, "cluster", Cluster(), raising=False)
    with Session(database_engine(data_folder.url)) as session:
        session.add(WellRow(run_id=run, well="B04", status="done"))
        session.commit()
    assert workflows.begin.__wrapped__(run, 1) == {
        "status": "running",
        "wells": ["B02", "B03", "B05", "C02", "C03"],
        "reason": "",
        "patience_s": 12 * 3600,
        "every": 1,
        "priority": "normal",
        "place": 0,
    }
    looks = [("look_at", f"look-{run[:12]}")] * 2 + [("conclude", f"look-{run[:12]}")]
    assert calls == [*looks, ("calibrate", f"calibrate-{run[:12]}")]
    with Session(database_engine(data_folder.url)) as session:
        assert session.get_one(RunRow, run).state == "running"


def begun(data_folder, small_inputs, monkeypatch, run):
    """The folder of a run, and how its first step ended on a cluster that is asked by `run`."""
    submitted = submit_run(data_folder, small_inputs)

    class Cluster(Here):
        def run(self, function, *args, key):
            return run(function, *args)

    monkeypatch.setattr(workflows.Context, "settings", data_folder, raising=False)
    monkeypatch.setattr(workflows.Context, "cluster", Cluster(), raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)
    how = workflows.begin.__wrapped__(submitted, 1)
    return workflows.run_folder(data_folder, submitted), how


def test_the_scan_is_looked_at_before_the_calibration_refuses_it(
    data_folder, small_inputs, small_run, monkeypatch
):
    def run(function, *args):
        if function.__name__ == "calibrate":
            raise Unavailable("scan folder not reachable: /x")
        return function(*args)

    folder, how = begun(data_folder, small_inputs, monkeypatch, run)
    assert how["status"] == "waiting"
    assert states("away.scan", how["reason"], path="/x")
    for path in (small_run / "arrival").iterdir():
        assert (folder.arrival / path.name).read_bytes() == path.read_bytes()


def test_a_look_waits_for_what_is_away(data_folder, small_inputs, monkeypatch):
    def run(function, *args):
        raise Unavailable("scan folder not reachable: /x")

    folder, how = begun(data_folder, small_inputs, monkeypatch, run)
    assert (how["status"], how["wells"]) == ("waiting", [])
    assert not folder.arrival.exists()


def test_a_process_that_is_lost_at_each_look_costs_no_plate(data_folder, small_inputs, monkeypatch):
    def run(function, *args):
        if function.__name__ == "look_at":
            raise MachineError("the process that computed it was lost")

    folder, how = begun(data_folder, small_inputs, monkeypatch, run)
    assert (how["status"], len(how["wells"])) == ("running", 6)
    assert states("lost.attempts", (folder.arrival / "reason.txt").read_text())


def test_a_well_has_one_row_however_often_its_step_ran(served, session):
    outcome = {"well": "B02", "status": "failed", "reason": "late", "n_fields": 0, "n_nuclei": 0}
    assert workflows.commit_well.__wrapped__(served.run, outcome) == "failed"
    rows = session.exec(select(WellRow).where(WellRow.well == "B02")).all()
    assert [(r.status, r.n_fields) for r in rows] == [("done", 2)]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("scan folder not reachable: /x"), "waiting"),
        (OSError(28, "No space left on device"), "waiting"),
        (sa.exc.OperationalError("x", None, Exception("away")), "waiting"),
        (MachineError("the process that computed it was lost"), "failed"),
        (Cancelled("x"), "cancelled"),
    ],
)
def test_what_is_away_is_waited_for_and_a_lost_process_is_given_up(
    served, monkeypatch, error, status
):
    class Cluster(Here):
        def run(self, function, *args, key):
            raise error

    monkeypatch.setattr(workflows.Context, "cluster", Cluster(), raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)
    outcome = workflows.compute_well.__wrapped__(served.run, 1, "B02")
    assert outcome["status"] == status
    if status == "failed":
        assert states("workflow.lost", outcome["reason"], well="B02")
    began = workflows.begin.__wrapped__(served.run, 1)
    assert (began["status"], began["wells"]) == (status, [])
    assert workflows.summarise_run.__wrapped__(served.run, 1)["status"] == status


def test_labels_are_a_task_of_their_own_where_a_gpu_is_declared(served, monkeypatch):
    calls = []
    done = WellOutcome("B02", "done", "", 2, 7)

    class Cluster(Here):
        def offers_gpu(self):
            return True

        def run(self, function, *args, key, gpu=False):
            calls.append((function.__name__, gpu))
            return done if function.__name__ == "process_well" else None

    monkeypatch.setattr(workflows.Context, "cluster", Cluster(), raising=False)
    compute = workflows.compute_well.__wrapped__
    # The engine `classical` has no network.
    assert compute(served.run, 1, "B02")["n_nuclei"] == 7
    monkeypatch.setattr(workflows, "wants_gpu", lambda engine, device: engine == "classical")
    assert compute(served.run, 1, "B02")["n_nuclei"] == 7
    assert calls == [("process_well", False), ("draw_well", True), ("process_well", False)]
    calls.clear()
    workflows.begin.__wrapped__(served.run, 1)
    assert ("calibrate", True) in calls


def test_an_earlier_attempt_changes_nothing(served, session):
    row = session.get_one(RunRow, served.run)
    row.attempt = 2
    session.commit()
    assert workflows.begin.__wrapped__(served.run, 1)["status"] == "cancelled"
    assert workflows.compute_well.__wrapped__(served.run, 1, "B02")["status"] == "cancelled"
    assert workflows.summarise_run.__wrapped__(served.run, 1)["status"] == "cancelled"
    assert not workflows.mark.__wrapped__(served.run, 1, "waiting", "x")
    workflows.fail.__wrapped__(served.run, 1, "late")
    session.refresh(row)
    assert (row.state, row.reason) == ("done", "")


class Engine:
    """The job engine without a database: jobs run at once, pauses are kept."""

    def __init__(self, monkeypatch, answers, begun=()):
        """`answers`: well ► how its turns end, in order; the last is repeated."""
        self.pauses, self.sent, self.marks, self.committed = [], [], [], {}
        self.answers, self.begun = {w: list(a) for w, a in answers.items()}, list(begun)
        for name in ("begin", "mark", "fail", "give_up", "commit_well", "summarise_run"):
            monkeypatch.setattr(workflows, name, getattr(self, name))
        monkeypatch.setattr(workflows, "_turn", self.turn)
        monkeypatch.setattr(workflows.DBOS, "sleep", self.pauses.append)

    def begin(self, run, attempt):
        if self.begun:
            return {
                "status": "waiting",
                "reason": self.begun.pop(0),
                "wells": [],
                "patience_s": 300,
            }
        running = {"status": "running", "reason": "", "wells": list(self.answers)}
        return running | {"patience_s": 300, "every": 1, "priority": "normal", "place": 0}

    def turn(self, run, attempt, wells, turn, every, priority, place):
        self.sent.append(list(wells))
        return {w: a.pop(0) if len(a := self.answers[w]) > 1 else a[0] for w in wells}

    def mark(self, run, attempt, state, reason):
        self.marks.append((state, reason))
        return True

    def fail(self, run, attempt, reason):
        self.marks.append(("failed", reason))

    def give_up(self, run, well, reason):
        return {"well": well, "status": "failed", "reason": reason}

    def commit_well(self, run, outcome):
        self.committed[outcome["well"]] = outcome["reason"]

    def summarise_run(self, run, attempt):
        return {"status": "done", "reason": ""}


AWAY = "waiting: scan folder not reachable: /x"


def test_a_run_whose_scan_is_away_waits_and_goes_on(monkeypatch):
    engine = Engine(monkeypatch, {"A": ["done"], "B": [AWAY, AWAY, "done"], "C": [AWAY, "done"]})
    assert workflows._analyse("r", 1) == "done"
    assert engine.sent == [["A", "B", "C"], ["B"], ["C"], ["B"]]
    assert engine.pauses == [1.0, 2.0]
    assert engine.marks == [
        ("waiting", AWAY.removeprefix("waiting: ")),
        ("waiting", AWAY.removeprefix("waiting: ")),
        ("running", ""),
    ]
    assert engine.committed == {}


def test_a_run_whose_patience_is_used_up_fails_its_wells_by_the_true_cause(monkeypatch):
    engine = Engine(monkeypatch, {"A": ["done"], "B": [AWAY], "C": [AWAY]})
    assert workflows._analyse("r", 1) == "done"
    assert sum(engine.pauses) == 300
    assert engine.pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert engine.committed == {w: f"well {w}{AWAY.removeprefix('waiting')}" for w in ("B", "C")}


def test_a_calibration_waits_or_fails_and_never_goes_on_without_its_wells(monkeypatch):
    engine = Engine(monkeypatch, {"A": ["done"]}, begun=["file not reachable: /x/a.tif"])
    assert workflows._analyse("r", 1) == "done"
    assert engine.pauses == [1.0]
    engine = Engine(monkeypatch, {"A": ["done"]}, begun=1000 * ["file not reachable: /x/a.tif"])
    assert workflows._analyse("r", 1) == "failed"
    assert engine.marks[-1] == ("failed", "file not reachable: /x/a.tif")
    assert engine.sent == []


def test_a_cancelled_run_is_not_summarised(monkeypatch):
    engine = Engine(monkeypatch, {"A": ["done"], "B": ["cancelled"]})
    assert workflows._analyse("r", 1) == "cancelled"
    assert engine.marks == []


def test_a_well_that_was_given_up_is_failed_with_the_reason(served):
    made = workflows.give_up.__wrapped__(served.run, "B02", "well B02: MachineError: lost")
    assert made == {
        "well": "B02",
        "status": "failed",
        "reason": "well B02: MachineError: lost",
        "n_fields": 0,
        "n_nuclei": 0,
    }


def test_the_summary_puts_every_row_into_the_database_in_order(served, session):
    row = session.get_one(RunRow, served.run)
    assert row.state == "done"
    for kind in ("wells", "responses", "checks", "hazards"):
        stored = [json.loads(c) for c in table_content(session, row, kind, {})]
        assert stored == pl.read_parquet(served.folder / f"{kind}.parquet").to_dicts(), kind


def test_nan_does_not_get_into_the_database(tmp_path):
    pl.DataFrame({"line": ["L1"], "ec50": [float("nan")]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=says("json.number_that_it_has_not")):
        workflows.table_rows(tmp_path / "t.parquet", "r", "wells")


def test_a_row_s_filters_stand_beside_it(tmp_path):
    pl.DataFrame({"line": ["L1", None], "status": ["ok", "flat"], "x": [1, 2]}).write_parquet(
        tmp_path / "t.parquet"
    )
    rows = workflows.table_rows(tmp_path / "t.parquet", "r", "responses", 3)
    assert [
        (r["position"], r["line"], r["status"], r["compound"], r["revision"]) for r in rows
    ] == [
        (0, "L1", "ok", "", 3),
        (1, "", "flat", "", 3),
    ]
    assert json.loads(rows[1]["content"]) == {"line": None, "status": "flat", "x": 2}


def test_a_revision_s_rows_replace_the_last_revision_s_and_never_the_engine_s(served, session):
    corrected = served.folder / "corrected"
    corrected.mkdir()
    for kind in ("wells", "responses", "checks", "hazards"):
        shutil.copy(served.folder / f"{kind}.parquet", corrected)
    table = pl.read_parquet(corrected / "wells.parquet")
    for revision in (2, 5):
        table.filter(pl.col("status") == "done").with_columns(
            label_version=pl.lit(revision)
        ).write_parquet(corrected / "wells.parquet")
        workflows.commit_review.__wrapped__(served.run, revision)
    session.expire_all()
    row = session.get_one(RunRow, served.run)
    assert row.revision == 5
    versions = {
        r: {
            json.loads(c)["label_version"] or 1 for c in table_content(session, row, "wells", {}, r)
        }
        for r in (1, 2, 5)
    }
    assert versions == {1: {1}, 2: set(), 5: {5}}


def test_a_review_that_cannot_be_followed_says_why_and_the_tables_stay(served, session):
    workflows.refuse_review.__wrapped__(served.run, "work was deleted")
    row = session.get_one(RunRow, served.run)
    assert (row.review_reason, row.revision, row.state) == ("work was deleted", 1, "done")


FULL = sa.exc.OperationalError("COMMIT", None, Exception("database or disk is full"))


@pytest.mark.parametrize(
    ("workflow", "body", "arguments"),
    [
        (workflows.analyse_plate, "_analyse", ("r", 1)),
        (workflows.analyse_well, "compute_well", ("r", 1, "B02")),
        (workflows.follow_review, "apply_review", ("r",)),
    ],
)
def test_what_cannot_be_written_down_is_no_outcome_and_waits_for_a_new_start(
    monkeypatch, workflow, body, arguments
):
    """The disk was full between two steps: a run failed for it."""
    ended = []

    def full(*_):
        raise FULL

    monkeypatch.setattr(workflows, body, full)
    for name in ("fail", "refuse_review", "commit_well"):
        monkeypatch.setattr(workflows, name, lambda *how: ended.append(how))
    monkeypatch.setattr(workflows, "stand_still", lambda: ended.append("stands still"))
    monkeypatch.setattr(workflows.Context, "stumbled", threading.Event())
    with pytest.raises(sa.exc.OperationalError):
        workflow.__wrapped__(*arguments)
    assert ended == ["stands still"]
    assert workflows.Context.stumbled.is_set()


def test_standing_still_lasts_as_long_as_the_process(monkeypatch):
    waits = []
    monkeypatch.setattr(threading.Event, "wait", lambda _, *seconds: waits.append(seconds))
    workflows.stand_still()
    assert waits == [()]


def test_a_run_that_fails_says_why(served, session):
    workflows.fail.__wrapped__(served.run, 1, "MachineError: disk")
    row = session.get_one(RunRow, served.run)
    assert (row.state, row.reason) == ("failed", "MachineError: disk")


@pytest.fixture
def sent(monkeypatch):
    """[place, run, well] of every well that was sent to the queue."""
    sent = []

    class Handle:
        def __init__(self, well):
            self.get_result = lambda: f"done {well}"

    class Places:
        def __init__(self, *, priority):
            self.priority = priority

        def __enter__(self):
            sent.append([self.priority])

        def __exit__(self, *_):
            return False

    def enqueue(_queue, _workflow, run, _attempt, well):
        sent[-1] += [run, well]
        return Handle(well)

    monkeypatch.setattr(workflows, "SetEnqueueOptions", Places)
    monkeypatch.setattr(workflows.DBOS, "enqueue_workflow", enqueue)
    return sent


def in_turn(sent):
    return [(run, well) for _, run, well in sorted(sent, key=lambda s: s[0])]


def test_runs_take_turns_well_by_well(sent):
    """With one place, wells of a large plate and of a small one that came later alternate."""
    ended = workflows._turn("large", 1, ["A01", "A02", "A03", "A04"], 0)
    workflows._turn("small", 1, ["B01", "B02"], 0)
    assert ended["A03"] == "done A03"
    assert in_turn(sent)[:4] == [
        ("large", "A01"),
        ("small", "B01"),
        ("large", "A02"),
        ("small", "B02"),
    ]
    assert all(place >= 1 for place, *_ in sent)
    # A run of a laboratory with three takes every third turn.
    ordinary = [place for place, run, _ in sent if run == "large"]
    sent.clear()
    workflows._turn("third", 1, ["A01", "A02"], 0, 3)
    assert [place for place, *_ in sent] == [3 * place for place in ordinary[:2]]


def test_the_last_wells_of_a_large_plate_do_not_wait_for_as_long_as_small_ones_come(sent):
    """A small plate begins whenever the last one has no well left; the large one has 384 wells."""
    workflows._turn("large", 1, [f"w{n}" for n in range(384)], 0)
    queue, order = sorted((place, run) for place, run, _ in sent), []
    for _ in range(2 * 384):
        if all(run == "large" for _, run in queue):
            sent.clear()
            start = queue[0][0] if queue else 0
            workflows._turn("small", 1, [f"w{n}" for n in range(12)], 0, start=start)
            queue = sorted([*queue, *((place, run) for place, run, _ in sent)])
        order.append(queue.pop(0)[1])
    # Every second turn is its own, and one more whenever a small plate begins.
    assert order.count("large") == 384


def test_a_run_of_high_priority_has_four_wells_in_a_turn_and_none_is_kept_from_its_own(sent):
    wells = [f"A{n:02}" for n in range(1, 13)]
    for priority in ("low", "normal", "high"):
        workflows._turn(priority, 1, wells, 0, 1, priority)
    first = [run for run, _ in in_turn(sent)[:21]]
    # Four turns of the normal run.
    assert [first.count(run) for run in ("high", "normal", "low")] == [12, 7, 2]
    assert in_turn(sent)[:5] == [
        *[("high", well) for well in wells[:3]],
        ("normal", "A01"),
        ("high", "A04"),
    ]
