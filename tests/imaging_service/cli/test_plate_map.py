from __future__ import annotations

import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from plate_maps import read_plate_map
from tests.messages import states

NEW = [
    "plate-map",
    "new",
    "--line",
    "D=SOD1 p.A5V",
    "--line",
    "I=corrected",
    "--compound",
    "x",
    "--doses",
    "0.1,1,10,100 uM",
    "--positive",
    "ref 10 uM",
]


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_a_new_map_is_drawn_written_and_clean(tmp_path):
    made = run(*NEW, "--out", str(tmp_path))
    assert made.exit_code == 0, made.output
    assert (tmp_path / "plate_map_1.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    plate = read_plate_map(tmp_path / "plate_map_1.csv")
    assert plate.lines == ("D", "I")
    assert sorted(
        {c.dose_molar for c in plate.conditions.values() if c.compound == "x"}
    ) == pytest.approx([1e-7, 1e-6, 1e-5, 1e-4])
    checked = run("plate-map", "check", str(tmp_path / "plate_map_1.csv"))
    assert checked.exit_code == 0
    assert states("check.no_finding", checked.output)
    assert "A D, B I" in checked.output


def test_a_layout_is_never_overwritten(tmp_path):
    run(*NEW, "--out", str(tmp_path))
    before = (tmp_path / "plate_map_1.csv").read_bytes()
    again = run(*NEW, "--out", str(tmp_path), "--seed", "2")
    assert again.exit_code == 2
    assert (tmp_path / "plate_map_1.csv").read_bytes() == before


def divided(tmp_path):
    """Two vehicle wells and two of riluzole, half of them at another density."""
    path = tmp_path / "densities.csv"
    rows = [
        f"{well},L1,{compound},{dose},{control},{density}"
        for density, row in (("2e4 per mL", "B"), ("5e4 per mL", "C"))
        for well, compound, dose, control in (
            (f"{row}02", "DMSO", "", "vehicle"),
            (f"{row}03", "riluzole", "3 µM", ""),
        )
    ]
    head = "well,line,compound,dose,control,growth condition"
    path.write_text("\n".join([head, *rows]), encoding="utf-8")
    return path


def test_a_map_whose_wells_differ_in_a_treatment_is_split_into_one_per_value(tmp_path):
    path, out = divided(tmp_path), tmp_path / "maps"
    refused = run("plate-map", "check", str(path))
    assert refused.exit_code != 0
    split = run("plate-map", "split", str(path), "--by", "growth_condition", "--out", str(out))
    assert split.exit_code == 0, split.output
    first, second = sorted(out.iterdir())
    assert [first.name, second.name] == [
        "densities_1_2e4_per_mL.csv",
        "densities_2_5e4_per_mL.csv",
    ]
    plates = [read_plate_map(p) for p in (first, second)]
    assert [[w.name for w in p] for p in plates] == [["B02", "B03"], ["C02", "C03"]]
    assert plates[1]["C03"].compound == "riluzole"
    assert plates[1]["C03"].annotations == (("growth_condition", "5e4 per mL"),)
    again = run("plate-map", "split", str(path), "--by", "growth_condition", "--out", str(out))
    assert again.exit_code == 2
    unknown = run("plate-map", "split", str(path), "--by", "density", "--out", str(out))
    assert unknown.exit_code != 0
    assert states("plate_map.split_by_unknown", unknown.output + repr(unknown.exception))


def test_confounding_designs_and_doses_without_unit_are_refused(tmp_path):
    many = [a for i in range(12) for a in ("--line", f"L{i}")]
    refused = run(
        "plate-map",
        "new",
        *many,
        "--compound",
        "x",
        "--doses",
        "1,2,3,4 uM",
        "--wells",
        "96",
        "--out",
        str(tmp_path),
    )
    assert refused.exit_code == 2
    assert "confounded" in refused.output
    assert (
        run(
            "plate-map",
            "new",
            "--line",
            "L",
            "--compound",
            "x",
            "--doses",
            "1,2",
            "--out",
            str(tmp_path),
        ).exit_code
        == 2
    )
    assert not list(tmp_path.iterdir())


def test_check_says_who_is_taken_for_healthy_and_why(tmp_path):
    rows = [("H1", "WT"), ("S1", "SOD1 p.A5V"), ("C1", "healthy carrier"), ("R1", "")]
    (tmp_path / "map.csv").write_text(
        "well,line,genotype,compound,dose,unit,control\n"
        + "".join(f"B{i:02d},{n},{g},DMSO,,,vehicle\n" for i, (n, g) in enumerate(rows, start=2))
    )
    (tmp_path / "lines.tsv").write_text("line\tdonor\tzygosity\nR1\tD1\twild type\n")
    given = run(
        "plate-map", "check", str(tmp_path / "map.csv"), "--lines", str(tmp_path / "lines.tsv")
    )
    healthy = "H1 (genotype 'WT'), R1 (registry: zygosity wild type)"
    assert states("health.healthy", given.output, lines=healthy)
    assert states("health.disease", given.output, lines="S1 (genotype 'SOD1 p.A5V')")
    assert states("health.unknown", given.output, lines="C1 (genotype 'healthy carrier')")
    assert "[health_unknown]" in given.output
    (tmp_path / "lines.tsv").write_text("line\tdonor\tbirthday\nR1\tD1\t1970\n")
    refused = run(
        "plate-map", "check", str(tmp_path / "map.csv"), "--lines", str(tmp_path / "lines.tsv")
    )
    assert refused.exit_code == 2


HEAD = "plate,well,line,compound,dose,unit,control\n"


def test_check_names_compounds_that_may_be_one(tmp_path):
    path, key = tmp_path / "map.csv", tmp_path / "key.toml"
    path.write_text(
        HEAD + "p1,B02,L1,DMSO,,,vehicle\np1,B03,L1,Riluzole,1,uM,\np1,B04,L1,Riluzole HCl,1,uM,\n"
        "p2,B02,L1,DMSO,,,vehicle\np2,B03,L1,riluzol,1,uM,\n"
    )
    given = run("plate-map", "check", str(path)).output
    # On the first plate by itself, and over both.
    two = "'Riluzole' and 'Riluzole HCl'"
    assert states("compounds.may_be_one", given, names=two)
    assert states("compounds.may_be_one", given, names=f"{two} and 'riluzol'")
    key.write_text('[[compound]]\nid = "C1"\nname = "riluzole"\nsynonyms = ["Riluzole HCl"]\n')
    known = run("plate-map", "check", str(path), "--compounds", str(key)).output
    assert states("compounds.are_one", known, names=two, compound="riluzole")
    assert states("compounds.not_registered", known, compound="riluzol")
    assert not states("compounds.may_be_one", known, names=two)
    key.write_text('[[compound]]\nid = "C1"\n')
    assert run("plate-map", "check", str(path), "--compounds", str(key)).exit_code == 2


def test_check_names_what_is_wrong(tmp_path):
    (tmp_path / "map.csv").write_text(
        "well,line,compound,dose,unit,control\nB02,L1,DMSO,,,vehicle\nB03,L2,x,1,uM,\n"
    )
    found = run("plate-map", "check", str(tmp_path / "map.csv"))
    assert found.exit_code == 1
    assert states("check.no_vehicle_for_line", found.output, line="L2")
