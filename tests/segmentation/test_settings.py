from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import pytest
from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from segmentation.settings import STRICT, Count, Positive, Share, meaning


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Example:
    """Settings of nothing."""

    width_um: Annotated[Positive, meaning("How wide.")] = 3.0
    share: Annotated[Share, meaning("How much.")] = 0.5
    number: Annotated[Count, meaning("How many.")] = 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"width_um": 0.0},
        {"width_um": float("inf")},
        {"width_um": float("nan")},
        {"share": -0.01},
        {"share": 1.01},
        {"number": 0},
        {"number": 1.5},
        {"wide_um": 3.0},
    ],
)
def test_what_is_out_of_bounds_or_misspelt_is_refused(wrong):
    with pytest.raises(ValidationError):
        Example(**wrong)


def test_the_ends_of_the_bounds_are_within():
    assert (Example(share=0).share, Example(share=1).share, Example(number=1).number) == (
        0.0,
        1.0,
        1,
    )


def test_the_meaning_stands_with_the_bound_and_the_default():
    width = Example.__pydantic_fields__["width_um"]
    assert (width.description, width.default, len(width.metadata)) == ("How wide.", 3.0, 2)


def test_settings_are_handed_over_by_name_only():
    assert all(f.kw_only for f in fields(Example))
    with pytest.raises(ValidationError):
        Example(2.0)
