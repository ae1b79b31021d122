"""Faults of TOML are told with their line."""

from __future__ import annotations

import tomllib

import pytest

from imaging_service.toml_text import parse_toml
from tests.messages import says


def test_a_mark_that_an_editor_put_first_is_no_part_of_the_text():
    assert parse_toml('\ufeffname = "x"\n') == {"name": "x"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('a = 1\nname = phantom\nb = "', ": name = phantom; a text stands in quotation marks"),
        ("a = 1\nwell,line,compound", ": well,line,compound"),
        ("a = 1.2.3", ": a = 1.2.3"),
    ],
)
def test_the_line_that_cannot_be_read_is_told(text, told):
    with pytest.raises(tomllib.TOMLDecodeError) as refused:
        parse_toml(text)
    assert str(refused.value).endswith(told)


def test_a_text_that_ends_too_early_has_no_line():
    with pytest.raises(tomllib.TOMLDecodeError, match=says("toml.no_line")):
        parse_toml('name = """x')
