from __future__ import annotations

import pytest

from imaging_service.errors import ScanError
from imaging_service.ingest.plan import ImageRef
from imaging_service.ingest.several import one_of, one_plate
from plate_maps import Well
from tests.messages import says


def images(**places):
    return {
        path.replace("__", "/"): ImageRef(Well(*place), 1, 1, "1", 1, path)
        for path, place in places.items()
    }


def test_one_name_needs_no_asking():
    assert one_of({"a": 1}, "", "scan", "measurement") == "a"
    assert one_of({"a": 1, "B": 2}, "b", "scan", "measurement") == "B"


def test_names_are_listed_and_asked_for():
    with pytest.raises(ScanError, match=says("several.measurements", count=2, names="'a', 'b'")):
        one_of({"a": 1, "b": 2}, "", "scan", "measurement")
    with pytest.raises(
        ScanError, match=says("several.none_of_that_name", what="measurement", wanted="c")
    ):
        one_of({"a": 1}, "c", "scan", "measurement")


def test_prefixes_that_differ_in_case_only_are_one_plate():
    of = images(x=(2, 2), X_=(2, 3))
    assert one_plate(of, {"x": "p", "X_": "P"}, "scan", "") == ("", frozenset(of))


def test_a_plate_among_several_by_the_name_of_its_folder():
    of = images(day1__x=(2, 2), day2__x=(2, 3))
    prefixes = dict.fromkeys(of, "x")
    with pytest.raises(ScanError, match=says("several.plates", count=2, names="'day1', 'day2'")):
        one_plate(of, prefixes, "scan", "")
    assert one_plate(of, prefixes, "scan", "DAY2") == ("day2", frozenset({"day2/x"}))
