"""The public surface: exact names, light imports, str and Path alike, one-line reprs, escaped
pictures.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import imaging_service
import phenotypes
import plate_maps
import segmentation
from imaging_service import AssayProtocol, LocalRun, load_protocol
from imaging_service.errors import NotFound
from imaging_service.ingest import plan_scan
from imaging_service.protocol import Acquisition
from imaging_service.screens import folder as screens
from phenotypes.columns import conform
from plate_maps import Condition, Control, PlateFormat, PlateMap, Well
from tests.messages import says

SURFACE = {
    "plate_maps": [
        "FORMATS",
        "Condition",
        "Control",
        "Finding",
        "Join",
        "PlateFormat",
        "PlateMap",
        "PlateMapError",
        "Well",
        "check",
        "parse_dose",
        "plate_format",
        "plates_of_map",
        "read_plate_map",
    ],
    "segmentation": [
        "COMPARTMENTS",
        "DEFAULT_ENGINE",
        "ROLES",
        "Field",
        "Illumination",
        "Segmentation",
        "Segmenter",
        "Sizes",
        "available",
        "estimate_illumination",
        "load",
        "segment",
        "segment_all",
    ],
    "phenotypes": [
        "COLUMNS",
        "Column",
        "Curve",
        "DoseResponse",
        "FieldMeasurement",
        "PlateJudgement",
        "Responses",
        "Screen",
        "fit",
        "fit_screen",
        "growth_rates",
        "judge",
        "measure",
        "phenotype",
        "plate_effects",
        "respond",
    ],
    "imaging_service": [
        "AssayProtocol",
        "Client",
        "LocalRun",
        "__version__",
        "analyze",
        "load_protocol",
    ],
    "imaging_service.client": ["Client", "ServiceRefused"],
}


@pytest.mark.parametrize("package", SURFACE)
def test_the_public_surface_is_pinned(package):
    assert importlib.import_module(package).__all__ == SURFACE[package]


@pytest.mark.parametrize("package", ["segmentation", "phenotypes", "imaging_service"])
def test_a_misspelt_name_is_refused(package):
    with pytest.raises(AttributeError, match=says("door.misspelt_name")):
        _ = importlib.import_module(package).missing


def test_importing_the_packages_imports_nothing_heavy(repository):
    code = (
        "import sys, imaging_service, segmentation, phenotypes, imaging_service.client\n"
        "print(sorted({'numpy', 'torch', 'polars', 'scipy', 'fastapi'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "package", ["imaging_service", "napari_plugin", "phenotypes", "plate_maps", "segmentation"]
)
def test_types_are_shipped(repository, package):
    assert (repository / package / "py.typed").is_file()


def test_columns_is_the_package_with_all_columns():
    assert list(phenotypes.columns.columns("response"))[:2] == ["line", "genotype"]
    assert phenotypes.columns is importlib.import_module("phenotypes.columns")


def test_the_default_engine_is_one_constant():
    protocol = AssayProtocol(name="x", channels={"dna": 1})
    assert segmentation.load.__defaults__ == (segmentation.DEFAULT_ENGINE,)
    assert protocol.segmentation.engine is segmentation.DEFAULT_ENGINE


@pytest.mark.parametrize("kind", [str, Path])
def test_a_checkpoint_is_named_by_its_path(kind):
    from segmentation.engines.weights import motornet_path

    engine = segmentation.load("motornet", checkpoint=kind(motornet_path()), device="cpu")
    assert engine.name == f"motornet:{motornet_path()}"
    with pytest.raises(ValueError, match=says("engine.checkpoint_twice")):
        segmentation.load("motornet:a", checkpoint=kind("b"))


@pytest.mark.parametrize("engine", ["classical", "motornet"])
def test_an_engine_says_what_a_field_is(engine):
    with pytest.raises(TypeError, match=says("field.array_of_planes")):
        segmentation.load(engine, device="cpu").segment(np.zeros((1, 8, 8)))


@pytest.mark.parametrize("kind", [str, Path])
def test_every_door_takes_str_and_path(kind, phantom_plate, analysed, tmp_path):
    scan, plate_map = kind(phantom_plate / "Phantom-1"), kind(phantom_plate / "plate_map.csv")
    assert len(plate_maps.read_plate_map(plate_map)) == 24
    assert plate_maps.plates_of_map(plate_map) == []
    protocol = load_protocol(kind(phantom_plate / "protocol.toml"))
    assert len({image.well for image in plan_scan(scan, Acquisition()).images}) == 24
    run = LocalRun(kind(analysed))
    assert run.root == analysed
    # The run is finished: this only writes its tables again, and the same ones.
    again = imaging_service.analyze(scan, plate_map, protocol, kind(analysed), workers=1)
    assert again.record["run_id"] == run.record["run_id"]
    screen = kind(tmp_path / "screen")
    added = screens.add_run(screen, kind(analysed))
    assert screens.plates_of(screen) == [added]
    assert screens.fit(screen).tables.responses.height == again.table("responses").height
    assert screens.remove_run(screen, added.run_id) == added


def test_tables_of_a_run_have_their_types(analysed):
    run = LocalRun(analysed)
    for name, level in (
        ("wells", "well"),
        ("cells", "cell"),
        ("responses", "response"),
        ("hazards", "hazard"),
    ):
        assert run.table(name).equals(conform(run.table(name), level))
    assert run.table("wells").equals(pl.read_parquet(analysed / "wells.parquet"))
    with pytest.raises(NotFound, match=says("run.tables_known")):
        run.table("../wells")


HOSTILE = "<script>alert(1)</script>"


def hostile_map():
    return PlateMap(
        PlateFormat(2, 3),
        {
            Well(1, 1): Condition(HOSTILE, "DMSO", 0.0, Control.VEHICLE),
            Well(1, 2): Condition(HOSTILE, HOSTILE, 1e-6, batch=HOSTILE),
            Well(2, 3): Condition("L2", "ref", 1e-5, Control.POSITIVE),
        },
        HOSTILE,
    )


def test_a_plate_map_is_asked_by_name():
    mapped = hostile_map()
    assert mapped["a1"] is mapped[Well(1, 1)]
    assert list(mapped) == [Well(1, 1), Well(1, 2), Well(2, 3)]
    assert ("A01" in mapped, "B01" in mapped, "H12" in mapped, "nonsense" in mapped) == (
        True,
        False,
        False,
        False,
    )
    with pytest.raises(KeyError, match=says("map.no_such_name")):
        mapped["B01"]
    with pytest.raises(KeyError, match=says("map.other_plate_format")):
        mapped["H12"]
    with pytest.raises(KeyError, match=says("well.not_a_well_name")):
        mapped["nonsense"]


def test_pictures_are_escaped_and_have_a_place_per_well():
    html = hostile_map()._repr_html_()
    assert "<script" not in html
    assert html.count("<circle") == 6
    assert html.count('fill-opacity="0"') == 2
    table = conform(
        pl.DataFrame(
            {"line": [HOSTILE], "status": ["ok"], "ec50_molar": [3e-7], "reason": [HOSTILE]}
        ),
        "response",
    )
    shown = phenotypes.Responses(table, table, ())._repr_html_()
    assert "<script" not in shown
    assert "300 nM (– to –)" in shown


def test_reprs_are_one_line(analysed):
    wells = pl.read_parquet(analysed / "wells.parquet")
    responses = phenotypes.respond(wells, ["live_density"], pixel_size_um=0.65)
    for value in (
        hostile_map(),
        responses,
        responses.curves[0],
        responses.curves[0].result,
        LocalRun(analysed),
    ):
        assert "\n" not in repr(value)
        assert len(repr(value)) < 140
