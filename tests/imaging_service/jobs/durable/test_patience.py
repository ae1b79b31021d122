from __future__ import annotations

import pytest
import sqlalchemy as sa

from imaging_service.errors import Cancelled, ImageError, MachineError, Unavailable
from imaging_service.jobs.durable import patience
from tests.messages import states

LOCKED = sa.exc.OperationalError("x", None, Exception("database is locked"))


@pytest.fixture
def naps(monkeypatch):
    taken = []
    monkeypatch.setattr(patience.time, "sleep", taken.append)
    return taken


class Work:
    """Fails by each of the errors in turn, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)

    def __call__(self):
        if self.errors:
            raise self.errors.pop(0)
        return 7


def test_pauses_double_up_to_a_minute_and_are_all_the_patience():
    whole = patience.Patience(200)
    pauses = [whole.pause() for _ in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 17]
    assert whole.pause() is None
    assert patience.Patience(0).pause() is None


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (Unavailable("scan folder not reachable: /x"), "waiting", "scan folder not reachable: /x"),
        (OSError(5, "Input/output error", "/x/a"), "waiting", "Input/output error: /x/a"),
        (LOCKED, "waiting", "database not reachable: database is locked"),
        (sa.exc.TimeoutError("none left"), "waiting", "database not reachable: none left"),
        (Cancelled("b"), "cancelled", ""),
    ],
)
def test_what_waiting_helps_is_told_at_once(naps, tmp_path, error, status, reason):
    assert patience.attempted(Work(error), tmp_path) == (None, {"status": status, "reason": reason})
    assert naps == []


def test_a_lost_process_is_tried_a_few_times(naps, tmp_path):
    lost = [MachineError("the process that computed it was lost") for _ in range(4)]
    assert patience.attempted(Work(*lost[:3]), tmp_path) == (7, {})
    assert naps == [1, 2, 4]
    nothing, how = patience.attempted(Work(*lost), tmp_path)
    assert (nothing, how["status"]) == (None, "failed")
    assert states("lost.attempts", how["reason"])


def test_a_fault_of_the_data_is_not_tried_again(naps, tmp_path):
    with pytest.raises(ImageError):
        patience.attempted(Work(ImageError("blank")), tmp_path)
    assert naps == []


def test_a_full_disk_takes_no_work(naps, tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "shortage", lambda _: "no space left on the disk of /d")
    assert patience.attempted(Work(), tmp_path)[1]["status"] == "waiting"


def test_a_transaction_waits_for_its_database(naps):
    assert patience.until_written(Work(LOCKED, LOCKED), 100) == 7
    assert naps == [1, 2]
    with pytest.raises(sa.exc.OperationalError):
        patience.until_written(Work(*100 * [LOCKED]), 20)
    with pytest.raises(ImageError):
        patience.until_written(Work(ImageError("x")), 20)
