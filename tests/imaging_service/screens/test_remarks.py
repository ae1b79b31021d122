from __future__ import annotations

import polars as pl
import pytest

from imaging_service.screens.remarks import PlateFile, ScreenFile, facts_of, place_remarks, remarks
from plate_maps.registry import Registry, read_lines
from tests.messages import states


def registry(text=""):
    head = "line\tdonor\tgene\tzygosity\tisogenic_parent\n"
    return Registry(read_lines(head + text) if text else {}, {})


PAIR = "S1\tD1\tSOD1\theterozygous\t\nS1-iso\tD1\t\t\tS1\n"


def conditions(*rows):
    """(line, genotype, plate, batch)."""
    return pl.DataFrame(rows, ["line", "genotype", "plate", "batch"], orient="row")


def plate(run="r1", **more):
    whole = {
        "run_id": run,
        "plate_digest": "p",
        "plate_name": f"Plate {run}",
        "lab": "",
        "plate_map_digest": "m",
        "protocol_digest": "q",
        "software_version": "1",
        "label_version": 1,
        "rows": 8,
        "columns": 12,
        "phenotypes": ("live_density",),
        "too_coarse": (),
    }
    return PlateFile(**whole | more)


BOTH = conditions(("S1", "SOD1", "r1", "b1"), ("S1-iso", "corrected", "r1", "b1"))
PLANNED = pl.DataFrame({"compound": ["x"] * 2, "dose_molar": [1e-6, 3e-6]})


REGISTRY = registry(PAIR)
FILE = ScreenFile(name="s")


def say(table=BOTH, *, planned=PLANNED, of=REGISTRY, plates=None, file=FILE):
    return remarks(table, planned, of, plates or [plate()], file, facts_of(table, of, file))


def test_facts_come_from_registry_settings_and_genotypes():
    facts = facts_of(BOTH, registry(PAIR), ScreenFile(name="s"))
    assert facts.donors == {"S1": "D1", "S1-iso": "D1"}
    assert facts.genes == {"S1": "SOD1"}
    assert facts.isogenic == {"S1": "S1-iso"}
    assert facts.healthy == frozenset({"S1-iso"})
    named = facts_of(BOTH, registry(PAIR), ScreenFile(name="s", healthy_lines=("S1",)))
    assert (named.healthy, named.isogenic, named.genes) == (
        frozenset({"S1"}),
        {"S1-iso": "S1"},
        {"S1-iso": "corrected"},
    )


def test_of_several_corrected_clones_the_plated_one_is_used():
    of = registry(PAIR.replace("S1-iso", "S1-a") + "S1-b\tD1\t\t\tS1\n")
    table = conditions(("S1", "SOD1", "r1", "b1"), ("S1-b", "corrected", "r1", "b1"))
    facts = facts_of(table, of, ScreenFile(name="s", healthy_lines=("S1-a", "S1-b")))
    assert facts.isogenic == {"S1": "S1-b"}


def test_words_for_health_are_matched_whole():
    """Two healthy lines are not pooled with the disease lines, and what is unclear is asked for."""
    table = conditions(
        *[(f"S{i}", "SOD1", "r1", "b1") for i in (1, 2, 3)],
        ("H1", "WT", "r1", "b1"),
        ("H2", "CTRL", "r1", "b1"),
        ("S1-iso", "SOD1 A4V corrected", "r1", "b1"),
        ("C1", "healthy carrier of SOD1 A4V", "r1", "b1"),
        ("N1", "C9orf72, not corrected", "r1", "b1"),
    )
    facts = facts_of(table, registry(), FILE)
    assert facts.healthy == {"H1", "H2", "S1-iso"}
    assert set(facts.unknown) == {"C1", "N1"}
    assert set(facts.genes) == {"S1", "S2", "S3"}
    (asked,) = [s for s in say(table, of=registry()) if states("health.asked", s)]
    assert states("health.line", asked, line="C1", why="genotype 'healthy carrier of SOD1 A4V'")
    assert "N1 (" in asked
    named = ScreenFile(name="s", healthy_lines=())
    assert facts_of(table, registry(), named).unknown == {}
    assert facts_of(table, registry(), named).healthy == frozenset()
    assert not any(states("health.asked", s) for s in say(table, of=registry(), file=named))


def test_a_line_of_two_genotypes_on_two_plates_is_asked_for():
    table = conditions(("S1", "SOD1", "r1", "b1"), ("S1", "WT", "r2", "b1"))
    assert set(facts_of(table, registry(), FILE).unknown) == {"S1"}


def test_a_pair_with_a_line_of_unknown_health_is_no_pair():
    table = conditions(("S1", "carrier", "r1", "b1"), ("S1-iso", "corrected", "r1", "b1"))
    of = registry("S1\tD1\t\t\t\nS1-iso\tD1\t\t\tS1\n")
    assert facts_of(table, of, FILE).isogenic == {}
    assert any(
        states("health.line", s, line="S1", why="genotype 'carrier'") for s in say(table, of=of)
    )


def test_a_genotype_against_the_registry_is_remarked():
    table = conditions(("S1", "healthy", "r1", "b1"), ("S1-iso", "corrected", "r1", "b1"))
    (remark,) = [s for s in say(table) if states("health.contradicted", s)]
    assert "heterozygous" in remark


def test_a_sound_screen_has_no_remarks():
    assert say() == []


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ({"of": registry()}, 1),
        ({"plates": [plate(), plate("r2", protocol_digest="other")]}, 1),
        ({"plates": [plate(), plate("r2", software_version="2")]}, 1),
        ({"plates": [plate(too_coarse=("puncta_per_neuron",))]}, 1),
        ({"file": ScreenFile(name="s", effect_dose_molar={"y": 1e-6})}, 1),
        ({"file": ScreenFile(name="s", effect_dose_molar={"x": 1e-6})}, 0),
        ({"file": ScreenFile(name="s", healthy_lines=("S1-iso", "nobody"))}, 1),
        ({"file": ScreenFile(name="s", healthy_lines=("s1\u2011ISO",))}, 0),
        ({"table": conditions(("S1", "SOD1", "r1", ""), ("S1-iso", "corrected", "r1", ""))}, 1),
        (
            {
                "table": conditions(
                    ("S1", "SOD1", "r1", "b1"),
                    ("S9", "SOD1", "r1", "b1"),
                    ("S1-iso", "corrected", "r1", "b1"),
                )
            },
            1,
        ),
    ],
)
def test_each_weakness_is_one_remark(more, count):
    assert len(say(**more)) == count, say(**more)


@pytest.mark.parametrize(
    ("vehicle", "treated", "said"),
    [
        (["A01", "B12"], ["C03", "D04"], True),
        (["A01", "C05"], ["C03", "D04"], False),
        (["A01", "B12"], ["A02", "H04"], False),
        (["C05", "C06"], ["A02", "H04"], False),
    ],
)
def test_vehicle_wells_at_the_edge_are_remarked(vehicle, treated, said):
    wells = pl.DataFrame(
        {
            "well": [*vehicle, *treated, "D05"],
            "line": ["S1"] * 5,
            "control": ["vehicle"] * 2 + ["none"] * 2 + ["vehicle"],
            "status": ["done"] * 4 + ["excluded"],
        }
    )
    given = place_remarks(wells, plate())
    assert len(given) == said
    assert all(states("place.all_vehicles", s, plate="Plate r1", line="S1") for s in given)


def test_lines_that_share_no_batch_are_confounded_with_it():
    table = conditions(("S1", "SOD1", "r1", "b1"), ("S1-iso", "corrected", "r1", "b2"))
    said = say(table)
    # of lines, and of genotypes
    assert len([s for s in said if s.startswith("confounded_with_batch")]) == 2


def test_a_batch_with_and_without_a_lab_may_be_one():
    table = conditions(
        ("S1", "SOD1", "r1", "b1"),
        ("S1-iso", "corrected", "r1", "b1"),
        ("S1", "SOD1", "r2", "north/b1"),
        ("S1-iso", "corrected", "r2", "north/b1"),
    )
    said = say(table, plates=[plate(), plate("r2", lab="north")])
    assert said != []
    assert all(states("screen.batch_of_two_labs", s, batch="b1") for s in said)


@pytest.mark.parametrize(
    ("second", "kind", "names"),
    [
        (("S1", "SOD1", "r2", "B1"), "batch", "'B1' at Plate r2 and 'b1' at Plate r1"),
        (("s1", "SOD1", "r2", "b1"), "line", "'S1' at Plate r1 and 's1' at Plate r2"),
    ],
)
def test_names_of_two_plates_that_look_alike_are_remarked(second, kind, names):
    """They would count as two batches, or as two donors."""
    table = conditions(("S1", "SOD1", "r1", "b1"), ("S1-iso", "corrected", "r1", "b1"), second)
    found = say(table, plates=[plate(), plate("r2")])
    alike = [states("screen.names_look_alike", s, kind=kind, names=names) for s in found]
    assert alike.count(True) == 1


@pytest.mark.parametrize(
    ("doses", "shown"),
    [((3.33, 3.3333), "3.33 µM and 3.3333 µM"), ((0.33, 1 / 3), "330 nM and 333.333333333 nM")],
)
def test_one_dose_as_several_numbers_is_remarked(doses, shown):
    """Two laboratories round in their ways and print alike, and would have no dose in common."""
    planned = pl.DataFrame(
        {"compound": ["x", "x", "y"], "dose_molar": [doses[0] * 1e-6, doses[1] * 1e-6, 3.4e-6]}
    )
    (remark,) = say(planned=planned)
    assert states("screen.doses_split", remark, compound="x", doses=shown)
