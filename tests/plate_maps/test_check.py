from __future__ import annotations

import polars as pl
import pytest

from phenotypes.plates.wells import WellSettings
from plate_maps import Condition, Control, PlateMap, Well, check, plate_format
from plate_maps.check import confounded
from plate_maps.compounds import read_compounds
from plate_maps.registry import Registry, read_lines
from tests.messages import states


def plate(*conditions):
    return PlateMap(
        plate_format(96), {Well(1, i): c for i, c in enumerate(conditions, 1)}, "map.csv"
    )


def test_a_sound_map_has_no_findings():
    vehicle = [Condition("L1", "DMSO", 0.0, Control.VEHICLE)] * 4
    positive = [Condition("L1", "ref", 1e-5, Control.POSITIVE)]
    treated = [Condition("L1", "ril", d * 1e-6) for d in (1, 2, 4, 8)]
    assert check(plate(*vehicle, *positive, *treated)) == []


def test_findings_name_line_compound_and_wells_errors_first():
    findings = check(
        plate(
            Condition("L1", "DMSO", 0.0, Control.VEHICLE),
            Condition("L1", "ril", 1e-6),
            Condition("L2", "ril", 1e-6),
        )
    )
    assert [f.code for f in findings] == [
        "no_vehicle_for_line",
        "few_vehicle_wells",
        "few_doses",
        "few_doses",
        "no_positive",
        "health_unknown",
    ]
    assert states("check.no_vehicle_for_line", findings[0].message, line="L2")
    assert "A01" in findings[1].message
    assert states("check.few_doses", findings[2].message, compound="ril", line="L1", doses=1)


def test_names_that_may_be_one_compound_are_found():
    vehicle = [Condition("L1", "DMSO", 0.0, Control.VEHICLE)] * 4
    positive = [Condition("L1", "ref", 1e-5, Control.POSITIVE)]
    names = ("Riluzole", "Riluzole HCl")
    treated = [Condition("L1", n, d * 1e-6) for n in names for d in (1, 2, 4, 8)]
    plate_map = plate(*vehicle, *positive, *treated)
    (finding,) = check(plate_map)
    assert (finding.severity, finding.code) == ("warning", "compound_names")
    assert states("compounds.may_be_one", finding.message, names="'Riluzole' and 'Riluzole HCl'")
    apart = read_compounds("id\tname\nA\tRiluzole\nB\tRiluzole HCl\n")
    assert check(plate_map, compounds=apart) == []
    one = read_compounds("id\tname\tsynonyms\nA\tRiluzole\tRiluzole HCl\n")
    (finding,) = check(plate_map, compounds=one)
    names = "'Riluzole' and 'Riluzole HCl'"
    assert states("compounds.are_one", finding.message, names=names, compound="Riluzole")


@pytest.mark.parametrize(
    ("vehicle", "treated", "lies_apart"),
    [
        # All at the edge, in one row, in one column.
        (["A02", "B01", "H05"], ["B02", "C03", "D04"], True),
        (["B02", "B03", "B04"], ["C02", "C03", "D04"], True),
        (["B02", "C02", "D02"], ["C04", "C03", "D04"], True),
        (["A02", "B01", "C03"], ["B02", "C04", "D04"], False),
        (["A02", "B01", "H05"], ["A03", "C01", "D04"], False),
        (["A02", "B01"], ["B02", "C03", "D04"], False),
    ],
)
def test_vehicle_wells_that_lie_apart_are_found(vehicle, treated, lies_apart):
    wells = {Well.parse(w): Condition("L1", "DMSO", 0.0, Control.VEHICLE) for w in vehicle}
    wells |= {Well.parse(w): Condition("L1", "ril", 1e-6) for w in treated}
    found = [f.code for f in check(PlateMap(plate_format(96), wells, "map.csv"))]
    assert ("vehicles_apart" in found) == lies_apart


def test_a_genotype_against_the_registry_is_found():
    vehicle = [Condition("L1", "DMSO", 0.0, Control.VEHICLE, genotype="WT")] * 3
    registry = Registry(read_lines("line\tdonor\tzygosity\nL1\tD1\theterozygous\n"), {})
    assert check(plate(*vehicle)) == []
    (finding,) = check(plate(*vehicle), registry)
    assert finding.code == "health_contradicted"


def mixed(findings):
    return [f for f in findings if f.code == "mixed_vehicles"]


def vehicles(*wells):
    return plate(
        *(
            Condition(line, compound, 0.0, Control.VEHICLE, batch=batch)
            for line, compound, batch in wells
        )
    )


def test_vehicle_wells_of_one_line_are_of_one_vehicle_and_one_batch():
    assert mixed(check(vehicles(*[("L1", "DMSO", "d1")] * 3, *[("L2", "water", "d2")] * 3))) == []
    (batches,) = mixed(
        check(vehicles(("L1", "DMSO", "d1"), ("L1", "DMSO", "d2"), ("L1", "DMSO", "d1")))
    )
    assert batches.severity == "warning"
    assert "d1, d2" in batches.message
    (compounds,) = mixed(check(vehicles(("L1", "DMSO", "d1"), ("L1", "water", "d1"))))
    assert states("check.mixed_vehicles", compounds.message, kinds="DMSO, water")
    assert len(mixed(check(vehicles(("L1", "DMSO", "d1"), ("L1", "water", "d2"))))) == 2


@pytest.mark.parametrize("missing", [1, 0])
def test_as_many_vehicle_wells_are_asked_for_as_a_response_needs(missing):
    count, few = WellSettings().min_vehicle_wells - missing, missing > 0
    wells = [Condition("L1", "DMSO", 0.0, Control.VEHICLE)] * count
    codes = [f.code for f in check(plate(*wells, Condition("L1", "ril", 1e-6)))]
    assert ("few_vehicle_wells" in codes) == few


@pytest.mark.parametrize(("count", "few"), [(3, True), (4, False)])
def test_four_doses_of_a_compound_on_a_line_are_enough(count, few):
    ladder = [Condition("L1", "ril", 1e-8 * 3**k) for k in range(count)]
    # Neither repeats, nor other lines' doses, nor controls make a ladder longer.
    other = [
        ladder[0],
        Condition("L2", "ril", 1e-3),
        Condition("L1", "ril", 2e-3, Control.POSITIVE),
    ]
    messages = [
        f.message
        for f in check(plate(*ladder, *other))
        if states("check.few_doses", f.message, compound="ril", line="L1", doses=count)
    ]
    assert bool(messages) == few


def test_one_dose_as_several_numbers_is_no_ladder():
    """A dispenser's log gives each well its own number."""
    log = [Condition("L1", "ril", d) for d in (1e-6, 1.0000001e-6, 1.002e-6, 3.33e-6, 3.3333e-6)]
    findings = check(plate(*log))
    (few,) = [f.message for f in findings if f.code == "few_doses"]
    split = [f.message for f in findings if f.code == "doses_split"]
    assert states("check.few_doses", few, compound="ril", line="L1", doses=2)
    doses = ("1 µM and 1.0000001 µM and 1.002 µM", "3.33 µM and 3.3333 µM")
    for message, step in zip(split, doses, strict=True):
        assert states("check.doses_split", message, compound="ril", line="L1", doses=step)


@pytest.mark.parametrize(
    ("doses", "shown"),
    [
        ((0.33, 0.333), "330 nM and 333 nM"),
        ((3.3, 3.3333), "3.3 µM and 3.3333 µM"),
        ((0.125, 0.13), "125 nM and 130 nM"),
        ((1.5625, 1.6), "1.5625 µM and 1.6 µM"),
        ((1.0, 1.1), ""),
        ((0.8, 1.0), ""),
    ],
)
def test_doses_rounded_in_two_ways_are_told_and_steps_of_a_ladder_are_not(doses, shown):
    """They are no common dose of two plates; a ladder of ten steps per doubling has none so near."""
    log = [Condition("L1", "ril", d * 1e-6) for d in (*doses, 1e-3, 1e-2, 1e-1)]
    split = [f.message for f in check(plate(*log)) if f.code == "doses_split"]
    assert bool(split) == bool(shown)
    for message in split:
        assert states("check.doses_split", message, compound="ril", line="L1", doses=shown)


def test_no_vehicle_at_all():
    assert check(plate(Condition("L1", "ril", 1e-6)))[0].code == "no_vehicle"


def lines_on(batches):
    """A table of wells: line ► the batches it is on, each line on plates of its own."""
    rows = [(line, f"{line}-{b}", b) for line, names in batches.items() for b in names]
    return pl.DataFrame(rows, schema=["line", "plate", "batch"], orient="row")


def test_factors_without_a_common_level_are_confounded():
    shared = lines_on({"L1": ["b0", "b1"], "L2": ["b0", "b1"]})
    assert [s.split(":")[0] for s in confounded(shared, "line")] == ["confounded_with_plate"]
    assert confounded(shared, "line", by=["batch"]) == []
    apart = lines_on({"L1": ["b1"], "L2": ["b1"], "L3": ["b2"]})
    [sentence] = confounded(apart, "line", by=["batch"])
    assert states("confounded.only_on", sentence, lines="L1, L2", batch="b1")
    assert states("confounded.only_on", sentence, lines="L3", batch="b2")


def test_a_chain_of_common_levels_is_not_confounded():
    """L1 and L3 share no batch, but each shares one with L2: the two-way design has full rank."""
    chain = lines_on({"L1": ["b1"], "L2": ["b1", "b2"], "L3": ["b2"]})
    assert confounded(chain, "line", by=["batch"]) == []
    assert confounded(lines_on({"L1": ["b1", "b2"]}), "line", by=["batch"]) == []
