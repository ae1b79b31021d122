from __future__ import annotations

from imaging_service.federation.donors import donor_hash, is_matched
from plate_maps.registry import Line


def test_all_lines_of_a_public_donor_have_one_hash_at_all_sites():
    names = ("UKXi001-A", "UKXi001-A-1", "UKXi001-B")
    hashes = {
        donor_hash(b"k", Line("x", f"D{i}", hpscreg=n), f"site {i}") for i, n in enumerate(names)
    }
    assert len(hashes) == 1
    assert donor_hash(b"k", Line("x", "D", hpscreg="UKXi002-A"), "a") not in hashes
    assert donor_hash(b"other", Line("x", "D", hpscreg="UKXi001-A"), "a") not in hashes


def test_a_donor_without_a_public_name_is_of_its_site():
    line = Line("x", "D1")
    assert donor_hash(b"k", line, "a") == donor_hash(b"k", Line("y", "D1"), "a")
    assert donor_hash(b"k", line, "a") != donor_hash(b"k", line, "b")
    assert (is_matched(line), is_matched(Line("x", "D1", hpscreg="UKXi001-A"))) == (False, True)


def test_an_edited_line_without_a_public_name_has_its_donor_s():
    named = Line("S1", "D1", hpscreg="UKXi001-A")
    clone = Line("S1-iso", "D1", isogenic_parent="S1")
    other = Line("S2", "D2")
    lines = [named, clone, other]
    assert donor_hash(b"k", clone, "a", lines) == donor_hash(b"k", named, "a", lines)
    assert donor_hash(b"k", other, "a", lines) == donor_hash(b"k", other, "a")
    assert is_matched(clone, lines)
    assert not is_matched(other, lines)
