from __future__ import annotations

import pytest

from plate_maps.names import look_alikes, shape, tidy


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("riluzole\u200b", "riluzole"),
        ("\ufeffriluzole", "riluzole"),
        (" MW\u00a0150 ", "MW 150"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("Riluzole", "Riluzole"),
        ("10³", "10³"),
    ],
)
def test_what_is_invisible_is_taken_off(text, name):
    assert tidy(text) == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("riluzole", "Riluzole"),
        ("riluzole", "riluzole\u200b"),
        ("MW 150", "MW\u00a0150"),
        ("Zo\u00eb", "Zoe\u0308"),
        ("\u00b5-opioid", "\u03bc-opioid"),
        ("riluzole", "rilu\u0437ole".replace("\u0437", "z").replace("o", "\u043e")),
        ("HC-01", "\u041dC-01"),
        ("MW-150", "MW–150"),
    ],
)
def test_look_alikes_are_named_with_their_wells(one, other):
    assert one != other
    assert shape(one) == shape(other)
    [sentence] = look_alikes("compound", {one: ["B03"], other: ["B04", "B05"]})
    assert one in sentence
    assert other in sentence or ascii(other)[1:-1] in sentence
    assert "B03" in sentence
    assert "B04, B05" in sentence


def test_other_names_are_other_names():
    names = ["L1", "L2", "L-1", "α-tocopherol", "a-tocopherol", "TDP43", "TDP-43"]
    assert look_alikes("line", {name: ["A01"] for name in names}) == []
