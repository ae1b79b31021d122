"""Hours of a film's frames: the instrument's, else the numbers'; and the notes of the run on them."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from imaging_service.ingest.plan import ImageRef, PlatePlan
from imaging_service.jobs.films import hours as module
from imaging_service.jobs.films.hours import numbered_hours, read_clock
from plate_maps import Well
from tests.messages import states

START = datetime(2024, 1, 10, 8, tzinfo=ZoneInfo("UTC")).timestamp()


@pytest.fixture
def clock_of(monkeypatch):
    """The clock of a scan: well ► seconds since 1970 of its time points, or None."""

    def made(seconds, times, interval=12.0, local=False, axis=None):
        images = tuple(
            ImageRef(Well.parse(w), 1, t, "1", 1, f"{w}_{t}.tif", exposed_s=s)
            for w, taken in seconds.items()
            for t, s in zip(times, taken, strict=True)
        )

        class Reader:
            @staticmethod
            def exposed_s(plan, image):
                return image.exposed_s

            @staticmethod
            def local_clock(plan, image):
                return local

        monkeypatch.setattr(module, "reader_named", lambda _: Reader)
        plan = PlatePlan("r", "p", None, ("1",), 1.0, None, images, hours=axis or {})
        return read_clock(plan, times, interval)

    return made


def since(start, *elapsed):
    return [start + 3600 * h for h in elapsed]


def unknown(times):
    return {"B02": [None] * len(times)}


def test_numbers_keep_their_gaps(clock_of):
    times = (1, 2, 4, 5, 6)
    clock = clock_of(unknown(times), times)
    assert clock.hours == {"B02": (0.0, 12.0, 36.0, 48.0, 60.0)}
    (note,) = clock.notes
    assert states("hours.time_point_missing", note, missing=3)
    assert states("hours.used", note, hours="0, 12, 36, 48, 60")
    assert clock_of(unknown((3, 4, 5)), (3, 4, 5)).hours == {"B02": (0.0, 12.0, 24.0)}
    assert clock_of(unknown((1, 2, 3)), (1, 2, 3)).notes == ()


def test_numbers_that_all_step_by_more_than_one_are_an_assumption_with_a_note(clock_of):
    clock = clock_of(unknown((1, 7, 13)), (1, 7, 13), 0.2)
    assert clock.hours["B02"] == pytest.approx((0.0, 1.2, 2.4))
    assert states("hours.numbered", clock.notes[0], numbers="1, 7, 13")
    assert states("hours.interval_between_numbers", clock.notes[0], interval=0.2)


def test_the_instrument_s_unequal_dates_are_used_and_the_contradiction_is_a_note(clock_of):
    elapsed = (0.0, 10.0, 30.0, 60.0, 72.0, 96.0)
    clock = clock_of({"B02": since(START, *elapsed)}, range(1, 7))
    assert clock.hours == {"B02": elapsed}
    (note,) = clock.notes
    assert states("hours.used", note, hours="0, 10, 30, 60, 72, 96")
    assert states("hours.of_the_interval", note, interval=12, hours="0, 12, 24, 36, 48, 60")


def test_times_within_a_tenth_of_a_step_contradict_nothing(clock_of):
    clock = clock_of({"B02": since(START, 0, 12.5, 24.2)}, (1, 2, 3))
    assert clock.hours == {"B02": (0.0, 12.5, 24.2)}
    assert clock.notes == ()


def test_wells_imaged_one_after_another_share_a_frame_s_hour(clock_of):
    """Seconds between wells would order the deaths of one frame by the order of imaging."""
    seconds = {
        "B02": since(START, 0, 12, 24),
        "B03": since(START + 60, 0, 12.01, 24.02),
        "B04": since(START + 120, 0, 11.99, 23.99),
    }
    clock = clock_of(seconds, (1, 2, 3))
    assert set(clock.hours.values()) == {(0.0, 12.0, 24.0)}
    assert clock.notes == ()


def test_a_well_imaged_otherwise_has_hours_of_its_own(clock_of):
    seconds = {f"B{n:02d}": since(START, 0, 12, 24) for n in range(2, 6)}
    seconds["B06"] = since(START, 0, 14, 24)
    seconds["B07"] = [None, None, None]
    clock = clock_of(seconds, (1, 2, 3))
    assert clock.hours["B06"] == (0.0, 14.0, 24.0)
    assert {clock.hours[w] for w in seconds if w != "B06"} == {(0.0, 12.0, 24.0)}
    assert states("hours.of_single_wells", clock.notes[0], wells=1)
    assert "B06 (0, 14, 24 h)" in clock.notes[0]
    assert states("hours.of_the_plate", clock.notes[1], wells="B07")


def test_dates_of_an_export_are_not_times_of_a_film(clock_of):
    clock = clock_of({"B02": [START, START + 2, START + 5]}, (1, 2, 3))
    assert clock.hours == {"B02": (0.0, 12.0, 24.0)}
    assert states("hours.too_close", clock.notes[0])
    same = clock_of({"B02": [START] * 3}, (1, 2, 4))
    assert same.hours == {"B02": (0.0, 12.0, 36.0)}


def test_the_scan_s_time_axis_counts_as_the_instrument_s(clock_of):
    axis = {1: 0.0, 2: 6.0, 3: 18.0}
    clock = clock_of(unknown((1, 2, 3)), (1, 2, 3), axis=axis)
    assert clock.hours == {"B02": (0.0, 6.0, 18.0)}
    assert "0, 6, 18" in clock.notes[0]


def local_seconds(zone, start, count, step_h):
    """What a naive local clock shows, read as if it were UTC."""
    first = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).timestamp()
    shown = []
    for k in range(count):
        there = datetime.fromtimestamp(first + 3600 * step_h * k, ZoneInfo(zone))
        shown.append(there.replace(tzinfo=ZoneInfo("UTC")).timestamp())
    return shown


@pytest.mark.parametrize(
    ("zone", "start", "jump"),
    [
        ("Europe/Berlin", "2024-03-30T08:00", "+1"),
        ("Europe/Berlin", "2024-10-26T08:00", "-1"),
        ("America/New_York", "2024-03-09T08:00", "+1"),
        ("America/New_York", "2024-11-02T08:00", "-1"),
        ("Australia/Sydney", "2024-10-05T08:00", "+1"),
        ("Pacific/Auckland", "2024-09-28T08:00", "+1"),
    ],
)
@pytest.mark.parametrize("step", [1.0, 12.0])
def test_clocks_that_are_changed_shift_no_frame(clock_of, zone, start, jump, step):
    count = 30 if step == 1.0 else 5
    shown = local_seconds(zone, start, count, step)
    times = tuple(range(1, count + 1))
    clock = clock_of({"B02": shown}, times, step, local=True)
    assert clock.hours["B02"] == pytest.approx(numbered_hours(times, step))
    (note,) = clock.notes
    assert states("hours.clock_changed", note, jump=jump)
    assert start[:7] in note
    assert note.endswith("B02")
    # The same times with a zone are what they are.
    assert clock_of({"B02": shown}, times, step).hours["B02"][-1] == pytest.approx(
        numbered_hours(times, step)[-1] + float(jump)
    )


def test_an_hour_more_on_another_day_is_an_hour_more(clock_of):
    clock = clock_of({"B02": since(START, 0, 12, 25, 37)}, (1, 2, 3, 4), local=True)
    assert clock.hours == {"B02": (0.0, 12.0, 25.0, 37.0)}
    assert not any("clocks" in note for note in clock.notes)


def test_uneven_local_times_over_the_change_have_a_note_that_they_are_unsure(clock_of):
    shown = since(datetime(2024, 3, 30, 8, tzinfo=ZoneInfo("UTC")).timestamp(), 0, 10, 30, 60)
    clock = clock_of({"B02": shown}, (1, 2, 3, 4), local=True)
    assert clock.hours == {"B02": (0.0, 10.0, 30.0, 60.0)}
    assert states("hours.unsure", clock.notes[0], wells="B02")


def test_the_machine_s_own_zone_moves_nothing(clock_of, monkeypatch):
    shown = local_seconds("Europe/Berlin", "2024-03-30T08:00", 5, 12.0)
    hours = []
    for zone in ("UTC", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        hours.append(clock_of({"B02": shown}, (1, 2, 3, 4, 5), local=True).hours)
    monkeypatch.undo()
    time.tzset()
    assert hours[0] == hours[1]
