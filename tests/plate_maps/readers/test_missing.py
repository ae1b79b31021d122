"""A column that a map lacks is one sentence, in CSV, workbook and grid."""

from __future__ import annotations

import csv
import io

import pytest
from openpyxl import Workbook

from plate_maps import PlateMapError, Well, read_plate_map
from plate_maps.conditions import ColumnNeeded
from plate_maps.readers.missing import MissingColumns
from tests.messages import states
from tests.plate_maps.written_maps import GRID, write

ROWS = [
    {
        "well": f"{row}{column:02d}",
        "line": "L1",
        "compound": "DMSO" if column < 4 else "toxic-1",
        "dose": "0" if column < 4 else str(column),
        "unit": "uM",
        "control": "vehicle" if column < 4 else "",
    }
    for row in "ABCDEFGH"
    for column in range(1, 13)
]


def refused(path):
    """The problems for which a map is refused."""
    with pytest.raises(PlateMapError) as caught:
        read_plate_map(path)
    return caught.value.problems


def table(*without, **changed):
    """The map's rows without some columns; `changed` fills a column of all rows."""
    names = [name for name in ROWS[0] if name not in without]
    return [names, *([{**row, **changed}[name] for name in names] for row in ROWS)]


def as_csv(tmp_path, rows):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return write(tmp_path, text.getvalue())


def as_workbook(tmp_path, rows):
    book = Workbook()
    book.active.title = "Map"
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "map.xlsx")
    return tmp_path / "map.xlsx"


TREATED = "72 wells (A04, A05, A06, A07, A08, A09 and 66 more)"
VEHICLE = "24 wells (A01, A02, A03, B01, B02, B03 and 18 more)"
ALL = "96 wells (A01, A02, A03, A04, A05, A06 and 90 more)"


@pytest.mark.parametrize(
    ("written", "place"), [(as_csv, "map.csv"), (as_workbook, "map.xlsx, sheet Map")]
)
@pytest.mark.parametrize(
    ("column", "words", "wells", "remedy"),
    [
        ("dose", "dose, concentration, dose (µM), …", TREATED, "or mark wells without a dose"),
        ("control", "control, control type, role", VEHICLE, "and write vehicle in it"),
        ("unit", "unit, dose unit", TREATED, "or write the unit over the doses"),
    ],
)
def test_a_missing_column_is_one_sentence_with_its_wells(
    tmp_path, written, place, column, words, wells, remedy
):
    (problem,) = refused(written(tmp_path, table(column)))
    parts = {"title": column, "words": words, "wells": wells, "remedy": remedy}
    assert states("map.no_column_for", problem, place=f"{place}, row 1", kind="column", **parts)


def test_a_map_without_lines_is_one_sentence(tmp_path):
    (problem,) = refused(as_csv(tmp_path, table("line")))
    assert states("map.no_column_of_lines", problem)


def test_without_doses_and_controls_solvents_look_like_vehicle_and_the_rest_lacks_a_dose(tmp_path):
    control, dose = refused(as_csv(tmp_path, table("dose", "control")))
    assert states("map.no_column_of", control, column="control", wells=VEHICLE)
    assert states("map.no_column_of", dose, column="dose", wells=TREATED)


def test_wells_without_a_compound_need_its_column_first(tmp_path):
    (problem,) = refused(as_csv(tmp_path, table("compound", control="")))
    assert states("map.no_column_of", problem, column="compound", wells=ALL)
    (problem,) = refused(as_csv(tmp_path, table("control", compound="", dose="")))
    assert states("map.no_column_of", problem, column="control", wells=ALL)


def test_a_second_compound_needs_a_column_of_its_doses(tmp_path):
    rows = [[*row, "rotenone" if i else "compound2"] for i, row in enumerate(table())]
    treated = [row for row in rows if row[2] != "DMSO"]
    (problem,) = refused(as_csv(tmp_path, treated))
    assert states("map.no_column_of", problem, column="dose of compound 2", wells=TREATED)


def test_a_grid_without_the_block_of_doses_is_one_sentence(tmp_path):
    grid = "\n\n".join(b for b in GRID.split("\n\n") if not b.startswith("dose"))
    (problem,) = refused(write(tmp_path, grid))
    assert states(
        "map.no_column_for",
        problem,
        place="map.csv",
        kind="block",
        title="dose",
        words="dose, concentration, dose (µM), …",
        wells="3 wells (A02, A03, B02)",
        remedy="or mark wells without a dose",
    )


def test_a_map_of_controls_needs_no_doses(tmp_path):
    plate_map = read_plate_map(as_csv(tmp_path, table("dose", "unit", control="vehicle")))
    assert len(plate_map.vehicle_wells()) == 96


def test_a_fault_of_a_column_that_is_there_stays_with_its_row(tmp_path):
    rows = table()
    rows[4][3] = ""
    (problem,) = refused(as_csv(tmp_path, rows))
    assert states("map.compound_without_dose", problem, what="row 5, well A04: compound toxic-1")


def test_what_no_column_would_mend_is_not_explained():
    missing = MissingColumns("map.csv", {"well", "dose"})
    assert not missing.explains("row 2", Well(1, 1), ValueError("no well"))
    assert not missing.explains("row 2", Well(1, 1), ColumnNeeded("no dose", "dose"))
    assert missing.problems() == []


def test_what_one_well_only_lacks_stays_its_own_fault():
    missing = MissingColumns("map.csv", {"well", "dose"})
    assert missing.explains("row 3", Well(1, 2), ColumnNeeded("no control", "control"))
    assert missing.problems() == ["row 3, well A02: no control"]
    assert missing.explains("row 4", Well(1, 3), ColumnNeeded("no control", "control"))
    (problem,) = missing.problems()
    assert states("map.no_column_of", problem, column="control", wells="2 wells (A02, A03)")
