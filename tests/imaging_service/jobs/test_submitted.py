from __future__ import annotations

import pytest

from imaging_service.errors import PlateMapRefused
from imaging_service.jobs.submitted import map_name


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("map.csv", "map.csv"),
        ("C:\\labs\\map 1.xlsx", "map 1.xlsx"),
        ("../../etc/x.tsv", "x.tsv"),
        (" karte-µ.csv ", "karte-µ.csv"),
        (196 * "a" + ".csv", 196 * "a" + ".csv"),
    ],
)
def test_the_last_part_of_a_name_is_used(sent, name):
    assert map_name(sent) == name


@pytest.mark.parametrize("sent", ["", "..", "a/", "x/..", "a\0.csv", "a\r.csv", 197 * "a" + ".csv"])
def test_what_names_no_file_is_refused(sent):
    with pytest.raises(PlateMapRefused):
        map_name(sent)
