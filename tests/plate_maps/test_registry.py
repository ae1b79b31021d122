from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_maps.registry import (
    Batch,
    Line,
    Registry,
    RegistryError,
    read_batches,
    read_lines,
    write,
)
from tests.messages import says, states

LINES = [
    Line(
        "SOD1-07",
        "D1",
        "SOD1 p.A5V",
        gene="SOD1",
        hgvs="NM_000454.5:c.14C>T",
        zygosity="heterozygous",
        disease="MONDO:0004976",
        sex="female",
        age_at_sampling="50-59",
        rrid="CVCL_B5P3",
        passage="23",
        karyotype_year="2021",
    ),
    Line("SOD1-07-iso", "D1", "corrected", isogenic_parent="SOD1-07", edit="CRISPR HDR"),
    Line("HC-01", "D2", "healthy"),
]


def test_lines_are_written_and_read_back():
    assert list(read_lines(write(LINES, Line)).values()) == LINES


def test_donors_and_isogenic_pairs():
    registry = Registry(read_lines(write(LINES, Line)), {})
    assert registry.donors() == {"SOD1-07": "D1", "SOD1-07-iso": "D1", "HC-01": "D2"}
    assert registry.isogenic_pairs() == [("SOD1-07", "SOD1-07-iso")]
    line, batch = registry.unknown(["HC-01", "X"], ["b1", ""])
    assert states("registry.unknown", line, what="line X")
    assert states("registry.unknown", batch, what="batch b1")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("L\t\t", says("registry.donor_missing")),
        ("\tD1\t", says("registry.line_without_name")),
        ("L\tD1\t57", says("registry.not_a_range_of_years")),
        ("L\tD1\t50-80", says("registry.not_a_range_of_years")),
        ("L\tD1\t50-59\textra", says("registry.more_cells_than_columns")),
        ("A\tD1\t\nA\tD1\t", says("registry.line_given_twice")),
    ],
)
def test_faults_name_row_and_line(row, sentence):
    with pytest.raises(RegistryError, match=sentence):
        read_lines("line\tdonor\tage_at_sampling\n" + row + "\n")


@pytest.mark.parametrize(
    ("age", "kept"),
    [
        ("50-54", True),
        ("50-59", True),
        ("90+", True),
        ("50-53", False),
        ("50-60", False),
        ("57-57", False),
        ("59-50", False),
        ("91", False),
    ],
)
def test_an_age_is_a_bucket_of_five_to_ten_years(age, kept):
    text = f"line\tdonor\tage_at_sampling\nL\tD1\t{age}\n"
    if kept:
        assert read_lines(text)["L"].age_at_sampling == age
    else:
        with pytest.raises(RegistryError):
            read_lines(text)


def test_columns_that_are_not_known_are_refused_not_carried_along():
    with pytest.raises(RegistryError, match=says("registry.unknown_column", named="patient_name")):
        read_lines("line\tdonor\tpatient_name\nL\tD\tJane\n")
    with pytest.raises(RegistryError, match=says("registry.not_separated_by_tabs")):
        read_lines("donor\nD\n")


def test_isogenic_lines_share_their_donor():
    text = "line\tdonor\tisogenic_parent\nA\tD1\t\nB\tD2\tA\nC\tD1\tZ\n"
    with pytest.raises(RegistryError) as error:
        read_lines(text)
    assert says("registry.parent_of_another_donor") in str(error.value)
    assert says("registry.parent_unknown", parent="Z") in str(error.value)


def test_batches():
    batches = [
        Batch("diff-3", protocol_doi="10.17504/protocols.io.abcd", imaging_day="28", purity="0.82")
    ]
    assert list(read_batches(write(batches, Batch)).values()) == batches
    with pytest.raises(RegistryError, match=says("registry.share_out_of_range")):
        read_batches("batch\tpurity\nb\t82\n")
    with pytest.raises(RegistryError, match=says("registry.not_a_doi")):
        read_batches("batch\tprotocol_doi\nb\tprotocols.io/abcd\n")


@given(
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool)
)
def test_any_name_comes_back(name):
    if name.startswith("'"):
        return
    read = read_lines(write([Line(name, "D")], Line))
    assert list(read) == [name]


def test_a_cell_is_no_formula():
    assert "\t'=cmd" in write([Line("L", "D", genotype="=cmd")], Line)


@pytest.mark.parametrize("other", ["d1", "D1\u200b", "\uff241", "D1\u00a0", "D 1", "d-1", "D_1"])
def test_two_spellings_of_a_donor_are_not_two_people(other):
    """Also where one of them was registered before."""
    text = "line\tdonor\nA\tD1\nB\t" + other + "\n"
    if other.strip() == "D1":
        assert read_lines(text)["B"].donor == "D1"
        return
    shown = f"{other!r}" + ("" if other.isascii() else f" ({other!a})")
    with pytest.raises(RegistryError) as error:
        read_lines(text)
    assert states(
        "registry.look_alike",
        str(error.value),
        what=f"donor 'D1' at row 2 and {shown}",
        places="row 3",
    )
    known = read_lines("line\tdonor\nA\tD1\n")
    with pytest.raises(RegistryError) as error:
        read_lines("line\tdonor\nB\t" + other + "\n", known=known)
    assert states(
        "registry.look_alike",
        str(error.value),
        what=f"donor 'D1' at the registry and {shown}",
        places="row 2",
    )


@pytest.mark.parametrize(
    ("column", "text", "made"),
    [
        ("line", "1-Sep", "a date"),
        ("donor", "2.00E+05", "a number in scientific notation"),
        ("sex", "#N/A", "the error of a formula"),
    ],
)
def test_what_a_spreadsheet_made_of_a_registry_s_cell_is_refused(column, text, made):
    cells = {"line": "A", "donor": "D1", "sex": "female"} | {column: text}
    with pytest.raises(RegistryError) as error:
        read_lines("\t".join(cells) + "\n" + "\t".join(cells.values()) + "\n")
    what = f"row 2: {column} {text!r}"
    assert states("map.entry_became", str(error.value), what=what, made=made)


@pytest.mark.parametrize(
    ("column", "first", "second", "refused"),
    [
        ("hpscreg", "UKXi001-A", "UKXi001-B-2", True),
        ("hpscreg", "UKXi001-A", "UKXi002-A", False),
        ("rrid", "CVCL_B5P3", "RRID:CVCL_B5P3", True),
        ("rrid", "CVCL_B5P3", "CVCL_B5P4", False),
    ],
)
def test_a_person_whom_public_registries_know_is_not_two_donors(column, first, second, refused):
    lines = [Line("A", "D1", **{column: first}), Line("B", "D2", **{column: second})]
    text = write(lines, Line)
    if not refused:
        assert len(read_lines(text)) == 2
        return
    told = says("registry.one_person_twice", column=column, first=first, second=second)
    with pytest.raises(RegistryError, match=told):
        read_lines(text)
    with pytest.raises(RegistryError, match=told):
        read_lines(write(lines[1:], Line), known={"A": lines[0]})
    assert len(read_lines(text.replace("D2", "D1"))) == 2
