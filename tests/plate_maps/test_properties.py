"""Any map survives being written and read; any text is read or refused by name, and nothing else
ever happens.
"""

from __future__ import annotations

import csv
import io
import string
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from plate_maps import (
    Condition,
    Control,
    PlateMap,
    PlateMapError,
    Well,
    plate_format,
    read_plate_map,
)
from plate_maps.layout import to_csv
from plate_maps.names import shape, tidy

NAMES = st.text(
    string.ascii_letters + string.digits + " -_.äµ,;\"'", min_size=1, max_size=12
).filter(lambda s: tidy(s) == s and s)
DOSES = st.sampled_from([1e-9, 3e-9, 1e-8, 3.3e-7, 1e-6, 2.5e-5, 1e-3])
ODD = "\t;,\"\n\r '=+@0123456789AZaz.µ-\ufeff"


@st.composite
def maps(draw):
    fmt = plate_format(96)
    wells = [Well(r, c) for r in range(1, 9) for c in range(1, 13)]
    # Two spellings of one name are refused.
    lines = draw(st.lists(NAMES, min_size=1, max_size=3, unique_by=shape))
    compounds = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=shape))
    chosen = draw(st.lists(st.sampled_from(wells), min_size=2, max_size=24, unique=True))
    conditions = {chosen[0]: Condition(lines[0], "DMSO", 0.0, Control.VEHICLE)}
    for well in chosen[1:]:
        conditions[well] = Condition(
            draw(st.sampled_from(lines)),
            draw(st.sampled_from(compounds)),
            draw(DOSES),
            replicate=draw(st.sampled_from(["", "1", "2"])),
        )
    return PlateMap(fmt, dict(sorted(conditions.items())))


def read_text(text, name="map.csv", encoding="utf-8"):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text.encode(encoding, errors="replace"))
        return read_plate_map(path, plate_format(96))


@given(maps())
@settings(max_examples=60, deadline=None)
def test_a_map_comes_back_as_it_was_written(plate):
    assert read_text(to_csv(plate)).digest() == plate.digest()


@given(maps(), st.sampled_from(["\t", ";", ","]), st.sampled_from(["utf-8-sig", "utf-16"]))
@settings(max_examples=60, deadline=None)
def test_delimiter_byte_order_mark_and_encoding_make_no_difference(plate, delimiter, encoding):
    rows = list(csv.reader(io.StringIO(to_csv(plate))))
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    assert read_text(out.getvalue(), encoding=encoding).digest() == plate.digest()


@given(
    st.text(ODD, max_size=300),
    st.sampled_from(["map.csv", "map.tsv", "map.toml", "map.xml", "map.PlateMap", "map.xlsx"]),
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_by_name(text, name):
    try:
        found = read_text(text, name)
    except PlateMapError as error:
        assert name in str(error)
        assert error.problems
    else:
        assert len(found) >= 1


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [
                    "",
                    "well",
                    "line",
                    "A01",
                    "B2",
                    "Z99",
                    "1",
                    "dose",
                    "-1",
                    "nan",
                    "1e999 uM",
                    "vehicle",
                    "control",
                    "=1+1",
                ]
            ),
            max_size=6,
        ),
        max_size=8,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_cells_are_read_or_refused(rows):
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    try:
        found = read_text(out.getvalue())
    except PlateMapError as error:
        assert error.problems
    else:
        assert all(c.line for c in found.conditions.values())
