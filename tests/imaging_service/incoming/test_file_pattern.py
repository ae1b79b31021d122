from __future__ import annotations

import pytest

from imaging_service.incoming.file_pattern import FilePattern
from imaging_service.ingest.names import PATTERNS
from tests.messages import says


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("(?P<well>(a|a|.)*)*x", 50_000 * "a"),
        ("(?P<well>(a+)+)+$", 50_000 * "a" + "!"),
        ("(?P<well>([a-z0-9]+)*)*_", 50_000 * "a1"),
        (PATTERNS["imagexpress"], 2_000 * "TimePoint_1/ZStep_1/" + "_A01_s1_"),
        (PATTERNS["cellvoyager"], 5_000 * "_A01_T1F1L1A1Z1C1"),
    ],
)
def test_no_pattern_takes_for_ever_over_any_name(pattern, name):
    # Where a pattern is tried backwards and forwards, as in Python's `re`, this never ends.
    assert FilePattern(pattern).match(name) is None


def test_groups_come_by_name_and_those_that_took_no_part_are_none():
    pattern = FilePattern(r"(?P<well>[A-H]\d\d)(?:_s(?P<field>\d+))?")
    assert pattern.groups == {"well", "field"}
    assert pattern.match("b03.TIF") == {"well": "b03", "field": None}
    assert pattern.match("B03_S12.tif") == {"well": "B03", "field": "12"}
    assert pattern.match("_B03") is None


def test_a_name_that_is_no_text_fits_no_pattern():
    assert FilePattern("(?P<well>.*)").match("B03\udcff.tif") is None


@pytest.mark.parametrize(
    "pattern", ["(?P<well", "(?P<well>a(?!b))", r"(?P<well>(a)\2)", "(?P<well>(a{1000}){1000})"]
)
def test_what_cannot_be_matched_in_linear_time_is_refused(pattern):
    with pytest.raises(ValueError, match=says("file_pattern.refused")):
        FilePattern(pattern)


def test_two_letters_of_a_pair_are_no_text():
    with pytest.raises(ValueError, match=says("file_pattern.no_text")):
        FilePattern("(?P<well>\ud800)")
