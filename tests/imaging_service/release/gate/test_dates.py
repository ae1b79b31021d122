from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from imaging_service.release.gate.dates import holds_date, shift_days, shifted


def test_intervals_of_a_plate_are_kept_and_its_dates_are_not():
    start = datetime(2026, 3, 1, 9, 30)
    hours = [start + timedelta(hours=h) for h in (0, 6, 12, 96.5)]
    days = shift_days(b"s" * 32, "p1")
    moved = [shifted(when, days) for when in hours]
    assert [b - moved[0] for b in moved] == [a - start for a in hours]
    assert 30 <= (start - moved[0]).days <= 365
    assert moved[0].time() == start.time()


def test_plates_and_releases_move_by_days_of_their_own():
    plates = {shift_days(b"s" * 32, f"p{i}") for i in range(40)}
    assert len(plates) > 20
    assert shift_days(b"s" * 32, "p1") != shift_days(b"t" * 32, "p1")


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("2024-05-03", True),
        ("tested 2024/5/3", True),
        ("05/2024 and 2024-05", True),
        ("20240503_mk", True),
        ("3.5.2024", True),
        ("3 May 2024", True),
        ("May 3, 2024", True),
        ("3-Mai-2024", True),
        ("", False),
        ("day 18", False),
        ("2024", False),
        ("version 2.1.10", False),
        ("12 may be enough", False),
        ("1234567890", False),
        ("Sendai virus, 2019", False),
    ],
)
def test_a_month_or_a_day_is_found_in_a_text(text, held):
    assert holds_date(text) is held
