from __future__ import annotations

import pytest

from imaging_service.errors import ModelRefused
from imaging_service.models.split import split_fields
from tests.imaging_service.models.drawn_fields import four_plates, traced
from tests.messages import says


def sides(split, key):
    return [{key(f.record) for f in part} for part in (split.train, split.held_out)]


@pytest.mark.parametrize("seed", range(5))
def test_neither_a_plate_nor_a_line_is_on_both_sides_where_it_can_be(seed):
    split = split_fields(four_plates(), seed)
    assert split.level == "plate and line"
    for key in (lambda r: r.plate_digest, lambda r: r.line):
        train, held_out = sides(split, key)
        assert train.isdisjoint(held_out)
    assert len(split.train) + len(split.held_out) == 8


@pytest.mark.parametrize("seed", range(5))
def test_plates_that_share_a_line_are_split_by_plate(seed):
    fields = [traced(i, plate=f"P{i}", line="L1") for i in range(8)]
    split = split_fields(fields, seed)
    assert split.level == "plate"
    assert len(split.held_out) == 2
    train, held_out = sides(split, lambda r: r.plate_digest)
    assert train.isdisjoint(held_out)


def test_one_plate_is_split_by_well_and_says_so():
    fields = [traced(i, well=f"B0{1 + i // 2}", field=1 + i % 2) for i in range(8)]
    split = split_fields(fields)
    assert split.level == "well"
    train, held_out = sides(split, lambda r: r.well)
    assert train.isdisjoint(held_out)
    assert len(split.held_out) == 2


def test_the_same_seed_gives_the_same_split():
    fields = [traced(i, plate=f"P{i}") for i in range(8)]
    once, again = (split_fields(fields, 3) for _ in range(2))
    assert [f.name for f in once.held_out] == [f.name for f in again.held_out]
    assert len({tuple(f.name for f in split_fields(fields, s).held_out) for s in range(9)}) > 1


def test_two_runs_of_one_plate_are_one_plate():
    fields = [traced(i, plate="P1", plate_name=f"P1 run {i}", well=f"B0{i + 1}") for i in range(4)]
    assert split_fields(fields).level == "well"


def test_fields_of_one_well_cannot_be_split():
    with pytest.raises(ModelRefused, match=says("models.one_well", well="P1 B02")):
        split_fields([traced(0, field=1), traced(1, field=2)])
