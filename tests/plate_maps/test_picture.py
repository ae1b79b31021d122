"""The picture of a plate map: where wells lie, how lines and doses look, what a tooltip holds."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from plate_maps import Condition, Control, PlateFormat, PlateMap, Well
from plate_maps.colours import PALETTE, colours_of
from plate_maps.picture import picture

SVG = "{http://www.w3.org/2000/svg}"
VEHICLE = Condition("L1", "DMSO", 0.0, Control.VEHICLE)
HOSTILE = "<script>a('b')</script> & \"c\""


def svg_of(html):
    start, end = html.index("<svg"), html.index("</svg>") + len("</svg>")
    return ET.fromstring(html[start:end])


def drawn(rows, columns, conditions):
    """(The picture, well's name ► its circle, its sign and its tooltip)."""
    html = picture(PlateMap(PlateFormat(rows, columns), conditions))
    wells = {}
    for group in svg_of(html).iter(f"{SVG}g"):
        title = group.findtext(f"{SVG}title")
        sign = group.findtext(f"{SVG}text") or ""
        wells[title.split(" · ")[0]] = (group.find(f"{SVG}circle").attrib, sign, title)
    return html, wells


def labels_of(html):
    return [text.text for text in svg_of(html).findall(f"{SVG}text")]


def test_a_well_lies_at_its_row_and_column_and_an_empty_one_is_a_dot():
    html, wells = drawn(2, 3, {Well(2, 3): VEHICLE})
    assert labels_of(html) == ["1", "2", "3", "A", "B"]
    circle = wells["B03"][0]
    assert (float(circle["cx"]), float(circle["cy"])) == (22 + 2.5 * 26, 22 + 1.5 * 26)
    assert float(circle["r"]) == pytest.approx(0.42 * 26, rel=1e-2)
    dots = [c.attrib for c in svg_of(html).findall(f"{SVG}circle")]
    assert {(float(d["cx"]), float(d["cy"])) for d in dots} == {
        (22 + (c - 0.5) * 26, 22 + (r - 0.5) * 26)
        for r, c in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    }
    assert {d["r"] for d in dots} == {"1"}
    assert (svg_of(html).get("width"), svg_of(html).get("height")) == ("102", "76")


def test_names_of_a_dense_plate_are_thinned_and_its_letters_go_on_after_z():
    html, _ = drawn(32, 48, {Well(1, 1): VEHICLE})
    assert labels_of(html) == [*map(str, range(1, 49, 4)), *"AEIMQUY", "AC"]
    assert labels_of(drawn(16, 24, {Well(1, 1): VEHICLE})[0])[23:26] == ["24", "A", "B"]


def test_controls_are_open_and_signed_and_treated_wells_are_filled():
    _, wells = drawn(
        2,
        3,
        {
            Well(1, 1): VEHICLE,
            Well(1, 2): Condition("L1", "stauro", 1e-6, Control.POSITIVE),
            Well(1, 3): Condition("L1", "none", None, Control.NEGATIVE),
            Well(2, 1): Condition("L1", "x", 1e-6),
        },
    )
    assert {name: (c["fill-opacity"], sign) for name, (c, sign, _) in wells.items()} == {
        "A01": ("0", ""),
        "A02": ("0", "+"),
        "A03": ("0", "−"),
        "B01": ("1.0", "1"),
    }


def test_a_treated_well_is_darker_by_the_rank_of_its_dose_within_its_compound():
    doses = {Well(1, i): Condition("L1", "x", dose) for i, dose in enumerate((1e-5, 1e-9, 2e-9), 1)}
    other = {Well(2, 1): Condition("L1", "y", 1e-9), Well(2, 2): Condition("L1", "x", 2e-9)}
    # A positive control's dose is not a rung of the ladder.
    poison = {Well(2, 3): Condition("L1", "x", 1.0, Control.POSITIVE)}
    _, wells = drawn(2, 3, doses | other | poison)
    assert {n: c["fill-opacity"] for n, (c, _, _) in wells.items()} == {
        "A01": "1.0",
        "A02": "0.25",
        "A03": "0.62",
        "B01": "1.0",
        "B02": "0.62",
        "B03": "0",
    }
    assert [wells[n][1] for n in ("A01", "B01", "B02")] == ["1", "2", "1"]


@pytest.mark.parametrize("count", [len(PALETTE), len(PALETTE) + 1])
def test_lines_have_the_colours_of_charts_in_the_order_of_their_names(count):
    names = [f"L{i}" for i in range(count)]
    html, wells = drawn(
        1, 12, {Well(1, i): Condition(name, "x", 1e-6) for i, name in enumerate(names[::-1], 1)}
    )
    colours = [wells[f"A{i:02d}"][0]["fill"] for i in range(1, len(names) + 1)]
    assert colours == colours_of(names)[::-1]
    assert len(set(colours)) == count
    assert html.count(f'style="color:{colours[0]}"') == 1


@pytest.mark.parametrize(("count", "numbered"), [(9, True), (10, False)])
def test_compounds_are_numbered_as_long_as_a_number_is_one_digit(count, numbered):
    html, wells = drawn(
        1, 12, {Well(1, i): Condition("L1", f"c{i:02d}", 1e-6) for i in range(1, count + 1)}
    )
    signs = [sign for _, sign, _ in wells.values()]
    assert signs == ([str(i) for i in range(1, 10)] if numbered else [""] * 10)
    assert ("9 c09" in html) == numbered


def test_a_tooltip_holds_everything_that_is_known_and_nothing_that_is_not():
    known = Condition("L1", "x", 2.5e-7, genotype="SOD1", batch="diff-2")
    bare = Condition("L1", "medium", None, Control.NEGATIVE)
    _, wells = drawn(1, 2, {Well(1, 1): known, Well(1, 2): bare})
    assert wells["A01"][2] == "A01 · L1 · SOD1 · x · 250 nM · diff-2"
    assert wells["A02"][2] == "A02 · L1 · medium · negative"


@pytest.mark.parametrize("field", ["line", "compound", "genotype", "batch"])
def test_text_of_a_map_is_text(field):
    condition = Condition(**{"line": "L1", "compound": "x", "dose_molar": 1e-6, field: HOSTILE})
    html = picture(PlateMap(PlateFormat(1, 1), {Well(1, 1): condition}, HOSTILE))
    assert "<script" not in html
    # Once in the tooltip, and once more in the legend of lines and of compounds.
    escaped = "&lt;script&gt;a(&#x27;b&#x27;)&lt;/script&gt; &amp; &quot;c&quot;"
    assert html.count(escaped) == (2 if field in ("line", "compound") else 1)
    assert HOSTILE in svg_of(html).findtext(f".//{SVG}title")
