from __future__ import annotations

from imaging_service.release.gate import continents
from imaging_service.release.gate.continents import continent


def test_each_country_has_one_continent():
    codes = " ".join(continents._CODES.values()).split()
    assert len(codes) == len(set(codes)) > 240
    assert all(len(code) == 2 and code.isupper() for code in codes)


def test_countries_of_each_continent():
    assert [continent(c) for c in ("NL", "JP", "BR", "US", "AU", "ZA", "XX")] == [
        "Europe",
        "Asia",
        "South America",
        "North America",
        "Oceania",
        "Africa",
        "",
    ]
