from __future__ import annotations

from datetime import datetime, timedelta

from imaging_service.release.gate.dates import shift_days, shifted


def test_intervals_of_a_plate_are_kept_and_its_dates_are_not():
    start = datetime(2026, 3, 1, 9, 30)
    hours = [start + timedelta(hours=h) for h in (0, 6, 12, 96.5)]
    moved = [shifted(b"s" * 32, "p1", when) for when in hours]
    assert [b - moved[0] for b in moved] == [a - start for a in hours]
    assert 30 <= (start - moved[0]).days <= 365
    assert moved[0].time() == start.time()


def test_plates_and_releases_move_by_days_of_their_own():
    plates = {shift_days(b"s" * 32, f"p{i}") for i in range(40)}
    assert len(plates) > 20
    assert shift_days(b"s" * 32, "p1") != shift_days(b"t" * 32, "p1")
