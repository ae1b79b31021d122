"""Rows of jobs."""

from __future__ import annotations

from imaging_service.database.tables import ScreenRow
from imaging_service.errors import ScreenError, Unavailable
from imaging_service.jobs.durable.job_rows import set_row, tried
from tests.messages import states


def raising(error):
    def work():
        raise error

    return work


def test_a_row_changes_only_while_it_is_of_the_attempt(screened):
    screen = screened.order(screened.runs[:1]).json()["id"]
    assert set_row(ScreenRow, screen, 1, state="running", gathered=1) is True
    assert set_row(ScreenRow, screen, 2, state="done") is False
    assert set_row(ScreenRow, "f" * 16, 1, state="done") is False
    shown = screened.screen(screen).json()
    assert (shown["state"], shown["progress"]["gathered"]) == ("running", 1)


def test_a_fault_of_the_machine_is_waited_for_and_one_of_the_data_ends_the_job(screened):
    assert tried(lambda: None) == {"status": "running", "reason": ""}
    away = tried(raising(Unavailable("share away")))
    assert (away["status"], away["reason"]) == ("waiting", "share away")
    failed = tried(raising(ScreenError("two plates are one")))
    assert failed["status"] == "failed"
    assert states("job.refused", failed["reason"])
