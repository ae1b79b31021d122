from __future__ import annotations

import pytest

from plate_maps.compounds import (
    Compound,
    CompoundError,
    Compounds,
    name_remarks,
    read_compounds,
    write_compounds,
)
from tests.messages import states

KEY = "FTALBRSUTCGOEG-UHFFFAOYSA-N"
TSV = (
    "id\tname\tsynonyms\tinchikey\tvendor\tlot\tstock\tsalt\tblinded_code\n"
    f"C1\triluzole\tRiluzole HCl|PK-26124\t{KEY}\tLab Ltd\tL-7\t10 mM\tHCl\t\n"
    "C2\tedaravone\tMCI-186\t\t\t\t\t\tBX-17\n"
)


def test_a_registry_is_read_and_written():
    known = read_compounds(TSV)
    assert known.records["C1"] == Compound(
        "C1", "riluzole", ("Riluzole HCl", "PK-26124"), KEY, "Lab Ltd", "L-7", "10 mM", "HCl"
    )
    assert read_compounds(write_compounds(known.records.values())) == known
    assert write_compounds(known.records.values()).startswith("id\tname\tsynonyms\t")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_any_delimiter_is_read(delimiter):
    text = "\ufeff" + TSV.replace("\t", delimiter)
    assert read_compounds(text, "known.csv") == read_compounds(TSV)


def test_toml_is_read():
    text = (
        f'[[compound]]\nid = "C1"\nname = "riluzole"\nsynonyms = ["Riluzole HCl", "PK-26124"]\n'
        f'inchikey = "{KEY}"\nvendor = "Lab Ltd"\nlot = "L-7"\nstock = "10 mM"\nsalt = "HCl"\n'
        '[[compound]]\nid = "C2"\nname = "edaravone"\nsynonyms = ["MCI-186"]\n'
        'blinded_code = "BX-17"\n'
    )
    assert read_compounds(text, "known.toml") == read_compounds(TSV)


@pytest.mark.parametrize(
    "name",
    ["riluzole", "Riluzole ", "RILUZOLE hcl", "rilu\u200bzole", "pk 26124", "Riluzole\u00a0HCl"],
)
def test_every_name_of_a_compound_leads_to_it(name):
    known = read_compounds(TSV)
    assert known.shown(name) == "riluzole"
    assert known.named(name).id == "C1"


def test_a_blinded_code_stays_until_it_is_unblinded():
    known = read_compounds(TSV)
    assert known.shown("bx 17") == "BX-17"
    assert known.shown("MCI-186") == "edaravone"
    assert known.unblinded("BX-17") == ("C2", "edaravone")
    assert known.unblinded("BX-17 3 µM + riluzole 1 µM") == (
        "C2 + C1",
        "edaravone 3 µM + riluzole 1 µM",
    )
    assert known.unblinded("tofersen") is None
    assert known.unblinded("BX-17 3 µM + tofersen 1 µM") is None


def test_names_in_a_combination_are_replaced_and_ordered():
    known = read_compounds(TSV)
    assert known.shown("Riluzole HCl 1 µM + MCI-186 3 µM") == "edaravone 3 µM + riluzole 1 µM"
    assert known.shown("tofersen 1 µM + MCI-186 3 µM") == "edaravone 3 µM + tofersen 1 µM"
    assert known.unknown(["tofersen 1 µM + MCI-186 3 µM", "", "riluzole"]) == ["tofersen"]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("C3\tRILUZOLE\t\t\t\t\t\t\t", "name 'RILUZOLE' also belongs to compound riluzole"),
        ("C3\tx\tpk26124\t\t\t\t\t\t", "name 'pk26124' also belongs to compound riluzole"),
        ("C3\tx\t\t\t\t\t\t\tmci-186", "name 'mci-186' also belongs to compound edaravone"),
        ("C3\tbx17\t\t\t\t\t\t\t", "name 'bx17' also belongs to compound edaravone"),
        (f"C3\tx\t\t{KEY}\t\t\t\t\t", f"InChIKey '{KEY}' also belongs to compound riluzole"),
        ("C1\tx\t\t\t\t\t\t\t", "id C1 was given before, to riluzole"),
        ("C3\tx\t\tFTALBRSUTCGOEG\t\t\t\t\t", "InChIKey 'FTALBRSUTCGOEG' is not of the form"),
        (f"C3\tx\t\t{KEY.lower()}\t\t\t\t\t", "is not of the form"),
        ("C3\tx\t\t\t\t\t10\t\t", "stock: dose '10' has no unit"),
        ("C3\tx\t\t\t\t\t0 mM\t\t", "stock '0 mM' is 0"),
        ("\tx\t\t\t\t\t\t\t", "the id is missing"),
        ("C3\t\t\t\t\t\t\t\t", "the name is missing"),
        ("C3\tx\t\t\t\t\t\t\t\tmore", "more cells than columns"),
    ],
)
def test_two_names_of_one_key_and_two_keys_of_one_name_are_refused(row, fault):
    with pytest.raises(CompoundError) as caught:
        read_compounds(f"{TSV}{row}\n")
    (problem,) = caught.value.problems
    assert problem.startswith("compounds.tsv, row 4")
    assert fault in problem


@pytest.mark.parametrize(
    ("text", "source", "fault"),
    [
        ("id\tname\tsmiles\n", "c.tsv", "c.tsv, row 1: unknown columns 'smiles'"),
        ("id\tvendor\n", "c.tsv", "c.tsv, row 1: no column named 'name'"),
        ("id\tname\tid\n", "c.tsv", "c.tsv, row 1: columns given twice 'id'"),
        ("", "c.tsv", "c.tsv, row 1: no column named 'id', 'name'"),
        ("x = ", "c.toml", "c.toml: is not TOML"),
        ("x = 1\n", "c.toml", "write one [[compound]] per compound"),
        ("[[compound]]\nid = 'a'\n", "c.toml", "c.toml, compound 1: id and name are needed"),
        ("[[compound]]\nid = 1\nname = 'a'\n", "c.toml", "everything else is a text"),
        (
            "[[compound]]\nid = 'a'\nname = 'a'\nsmiles = 'C'\n",
            "c.toml",
            "c.toml, compound 1: unknown columns 'smiles'",
        ),
    ],
)
def test_a_file_of_another_form_is_refused(text, source, fault):
    with pytest.raises(CompoundError) as caught:
        read_compounds(text, source)
    assert fault in str(caught.value)


def test_a_cell_like_a_formula_comes_back():
    record = Compound("C1", "=x", ("+y",), vendor="@z")
    text = write_compounds([record])
    assert "'=x\t'+y" in text
    assert read_compounds(text).records["C1"] == record


def test_names_that_may_be_one_are_remarked_unless_the_registry_knows_them_all():
    names = ["Riluzole", "riluzole HCl", "edaravone"]
    (remark,) = name_remarks(names)
    assert states("compounds.may_be_one", remark, names="'Riluzole' and 'riluzole HCl'")
    assert name_remarks(names, read_compounds(TSV)) == []
    # A row each says that they differ.
    apart = read_compounds("id\tname\nA\triluzole\nB\triluzole HCl\nC\tedaravone\n")
    assert name_remarks(names, apart) == []
    said = name_remarks([*names, "riluzol"], read_compounds(TSV))
    assert len(said) == 2
    assert states("compounds.not_registered", said[1], compound="riluzol")
    assert name_remarks(["tofersen"], Compounds({})) == []


def test_what_a_screen_does_not_show_is_shown():
    (remark,) = name_remarks(["riluzole", "riluzole\u200b"])
    assert "\\u200b" in remark
