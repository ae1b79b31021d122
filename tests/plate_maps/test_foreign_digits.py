"""Digits other than 0 to 9: `str.isdigit` takes ², `\\d` and `int` take ٣; a plate has neither."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plate_maps import PlateMapError, Well, read_plate_map
from plate_maps.conditions import parse_dose
from plate_maps.registry import Batch, Line, RegistryError, read_batches, read_lines, write
from plate_maps.wells import row_number, whole_number
from tests.messages import says, states

FOREIGN = ["10³", "²", "①", "٣", "1²", "๓"]
LONG = "well,line,compound,dose,unit,control,note\nA01,L1,DMSO,,,vehicle,\nA02,L1,ril,{dose},uM,,{note}\n"
GRID = (
    "line,1,2\nA,L1,L1\n\ncompound,1,2\nA,DMSO,ril\n\ndose"
    " (uM),1,2\nA,,{dose}\n\ncontrol,1,2\nA,vehicle,\n\ncells,1,2\nA,,{note}\n"
)
CELLS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=',;"\t'), max_size=8
)


def read(text, name="map.csv"):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        return read_plate_map(path)


@pytest.mark.parametrize("text", [*FOREIGN, "", "+1", "1_0", " 1", "1.0", "9" * 19])
def test_a_whole_number_is_written_in_the_digits_0_to_9(text):
    with pytest.raises(ValueError, match=says("number.not_whole")):
        whole_number(text)


def test_a_whole_number_may_have_leading_zeros():
    assert [whole_number(text) for text in ("0", "007", "9" * 18)] == [0, 7, 10**18 - 1]


@pytest.mark.parametrize("letters", ["", "ß", "ſ", "ﬀ", "Å", "A1", "²"])
def test_a_row_is_written_in_the_letters_a_to_z(letters):
    with pytest.raises(ValueError, match=says("plate.row_name_unreadable")):
        row_number(letters)


@pytest.mark.parametrize("text", ["B²", "B٣", "B1²", "B0٣", "ſ3"])
def test_a_well_name_has_no_other_digits(text):
    with pytest.raises(ValueError, match=says("well.not_a_well_name")):
        Well.parse(text)


@pytest.mark.parametrize("text", ["10³", "²", "①", "٣", "1٣", "1e٣ uM", "٣ uM", "1.٣ uM"])
def test_a_dose_has_no_other_digits(text):
    with pytest.raises(ValueError, match=says("dose.number_or_unit_unreadable")):
        parse_dose(text)


@pytest.mark.parametrize("form", [LONG, GRID])
@given(note=CELLS)
@example(note="10³")
@example(note="²")
@example(note="①")
@example(note="٣")
@example(note="9" * 5000)
def test_any_annotation_is_kept_as_written(form, note):
    plate_map = read(form.format(dose="1", note=note))
    assert [text for _, text in plate_map[Well(1, 2)].annotations] == [note.strip()] * bool(
        note.strip()
    )


@pytest.mark.parametrize(("form", "row"), [(LONG, 3), (GRID, 8)])
@pytest.mark.parametrize("dose", ["10³", "²", "①", "٣"])
def test_a_dose_that_is_not_a_number_is_refused_with_file_row_and_well(form, row, dose):
    with pytest.raises(PlateMapError) as refused:
        read(form.format(dose=dose, note=""))
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith(f"map.csv, row {row},")
    assert states("dose.quoted", refused.value.problems[0], well="A02", dose=dose)


@pytest.mark.parametrize(
    ("row", "column"), [("A", "²"), ("A", "٣"), ("A", ""), ("", "2"), ("ß", "2"), ("²", "2")]
)
def test_a_row_or_column_that_is_not_one_is_refused_with_file_and_row(row, column):
    with pytest.raises(PlateMapError) as refused:
        read(f"row,column,line,control\nA,1,L1,vehicle\n{row},{column},,\n")
    assert [p.split(":")[0] for p in refused.value.problems] == ["map.csv, row 3"]


@pytest.mark.parametrize("number", ["²", "٣", "0", "-1"])
def test_a_place_in_xml_that_is_not_on_a_plate_is_refused(number):
    entry = "<Well><Row>{}</Row><Col>2</Col><Value>{}</Value></Well>"
    layer = "<Layer><Name>{}</Name>{}</Layer>"
    harmony = (
        "<AssayLayout>"
        + layer.format("Compound", entry.format(number, "ril") + entry.format(1, "DMSO"))
        + "</AssayLayout>"
    )
    with pytest.raises(PlateMapError) as refused:
        read(harmony, "layout.xml")
    assert refused.value.problems[0].startswith("layout.xml, layer Compound: entry 'ril'")
    if number != "0":  # rows count from 0 here
        with pytest.raises(PlateMapError) as refused:
            read(
                f'<plate><well row="{number}" col="1"/><well row="0" col="0"/></plate>',
                "m.PlateMap",
            )
        assert refused.value.problems[0].startswith("m.PlateMap: ")
        assert states("incucyte.well_without_place", refused.value.problems[0])


@pytest.mark.parametrize("key", ["A٣", "A²"])
def test_a_place_in_a_wellmap_layout_has_no_other_digits(key):
    with pytest.raises(PlateMapError, match=says("map.toml_named")):
        read(
            f'[expt]\nline = "L1"\n[well.A1]\ncontrol = "vehicle"\n[well."{key}"]\ncontrol ='
            ' "vehicle"\n',
            "map.toml",
        )


@pytest.mark.parametrize("passage", FOREIGN)
def test_a_passage_is_a_number(passage):
    with pytest.raises(RegistryError, match=says("registry.entry_unreadable", what="passage")):
        read_lines(write([Line("L1", "D1", passage=passage)], Line))


@pytest.mark.parametrize(
    ("name", "text"),
    [("age_at_sampling", "٥٠-٥٩"), ("karyotype_year", "20٢٤"), ("disease", "MONDO:000497٦")],
)
def test_buckets_years_and_identifiers_have_no_other_digits(name, text):
    with pytest.raises(RegistryError, match=says("registry.entry_unreadable", what=name)):
        read_lines(write([Line("L1", "D1", **{name: text})], Line))


@pytest.mark.parametrize("purity", ["٠", "0.٨", "0_1", "²"])
def test_a_share_has_no_other_digits(purity):
    with pytest.raises(RegistryError, match=says("registry.entry_unreadable", what="purity")):
        read_batches(write([Batch("d1", purity=purity)], Batch))
