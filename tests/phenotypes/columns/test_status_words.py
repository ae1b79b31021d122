from __future__ import annotations

import ast
import re

import pytest

from phenotypes.columns.status_words import STATUS_WORDS, remark_words, status_words, with_reason
from phenotypes.columns.statuses import STATUSES
from phenotypes.films.deaths import CENSORED
from phenotypes.plates.identity import IdentityStatus
from phenotypes.plates.quality.position import PolishStatus
from tests.conftest import REPOSITORY

ENUMERATIONS = sorted(
    {*STATUSES.values(), IdentityStatus, PolishStatus}, key=lambda of: of.__name__
)


def remark_codes() -> set[str]:
    """Codes that sentences of the science packages begin with."""
    texts = (
        node.value
        for package in ("phenotypes", "segmentation", "plate_maps")
        for path in (REPOSITORY / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {m[1] for text in texts if (m := re.match(r"([a-z]+(?:_[a-z]+)+): ", text))}


@pytest.mark.parametrize("statuses", ENUMERATIONS)
def test_every_status_has_its_words(statuses):
    assert {s.value for s in statuses} - set(STATUS_WORDS) == set()


def test_every_remark_and_end_of_a_track_has_its_words():
    codes = remark_codes()
    assert {"attribution_conflict", "channel_shifted"} <= codes
    assert (codes | set(CENSORED)) - set(STATUS_WORDS) == set()


def test_words_are_no_codes_and_no_code_is_left_over():
    assert [w for w in STATUS_WORDS.values() if "_" in w or not w] == []
    known = {s.value for statuses in ENUMERATIONS for s in statuses}
    assert set(STATUS_WORDS) - known - remark_codes() - set(CENSORED) == set()


def test_a_reason_stands_behind_its_status():
    assert with_reason("attribution_conflict", None) == status_words("attribution_conflict")
    said = with_reason("excluded", "vehicle_outlier: 3 cells")
    assert said == "excluded: odd vehicle well: 3 cells"


def test_only_codes_of_a_remark_are_put_into_words():
    """A name of a column is what it is called, also where a code is a part of it."""
    text = (
        "nuclei: no dna channel; attribution_conflict: 40%; pixel_size_too_coarse for neurite_beads"
    )
    said = remark_words(text)
    assert said.split("; ") == [
        "nuclei: no dna channel",
        status_words("attribution_conflict") + ": 40%",
        status_words("pixel_size_too_coarse") + " for neurite_beads",
    ]
    assert remark_words("attribution_conflict_fraction") == "attribution_conflict_fraction"
