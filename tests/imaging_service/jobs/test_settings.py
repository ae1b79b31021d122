"""Each key of the protocol reaches the functions that it speaks of, by name, and changes nothing
else there.
"""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from imaging_service.ingest import PlatePlan
from imaging_service.jobs import plan, summary, well
from imaging_service.jobs.films import film
from imaging_service.jobs.parallel import engine
from imaging_service.jobs.pixels.ownership import Ownership
from imaging_service.jobs.review import corrections, results
from imaging_service.protocol import AssayProtocol, keys_of, parse_protocol, sections
from phenotypes.cells.measure import MeasureSettings
from phenotypes.cells.neurites import AttributionSettings
from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.films.deaths import DeathSettings
from phenotypes.films.registration import Registration
from phenotypes.films.tracking import TrackSettings
from phenotypes.plates.calls import CallSettings
from phenotypes.plates.quality.limits import QualityLimits
from phenotypes.plates.wells import WellSettings
from segmentation import Segmentation
from segmentation.filters.background import no_illumination
from segmentation.sizes import Sizes

FIXED = {"name": "p", "channels": {"dna": 1, "neurite": 2, "death": 3}}
FILM = FIXED | {"acquisition": {"frame_interval_h": 12.0}, "survival": {"definition": "gedi"}}

MEASURED = ("measure", "remeasure")
COUNTED = ("judge.wells", "respond", "rank", "respond_again", "lines_to_fit")
CROSSED = ("queue", "queue_again")
LINKED, REGISTERED = ("link", "link_again"), ("register", "sharp_frames")

# Key ► another value than the default, and the settings that it changes. A key without a row fails.
CHANGES = {
    "segmentation.nucleus_diameter_um": (14.0, ("engine.sizes",)),
    "segmentation.min_nucleus_area_um2": (40.0, ("engine.sizes",)),
    "segmentation.neurite_width_um": (2.0, ("engine.sizes",)),
    "segmentation.max_soma_reach_um": (9.0, ("engine.sizes",)),
    "segmentation.neurite_contrast": (0.5, ("engine.sizes",)),
    "segmentation.engine": ("classical", ("inputs",)),
    "segmentation.checkpoint_sha256": ("0" * 64, ("engine",)),
    "segmentation.neurite_probability": (0.4, ("engine",)),
    "segmentation.accuracy": ("high", ("engine",)),
    "measurement.ring_um": (2.0, MEASURED),
    "measurement.min_branch_um": (4.0, MEASURED),
    "measurement.min_primary_um": (12.0, MEASURED),
    "measurement.primary_ring_um": (4.0, MEASURED),
    "measurement.bead_length_um": (4.0, MEASURED),
    "measurement.bead_width": (2.0, MEASURED),
    "measurement.fragment_area_um2": (30.0, MEASURED),
    "measurement.fragment_circularity": (0.3, MEASURED),
    "measurement.max_conflict": (0.2, (*MEASURED, *COUNTED, *CROSSED)),
    "measurement.min_soma_area_um2": (60.0, COUNTED),
    "measurement.many_puncta": (5, COUNTED),
    "measurement.min_cells": (50, COUNTED),
    "measurement.min_vehicle_wells": (6, COUNTED),
    "reference.healthy_lines": (("HC",), ("judge",)),
    "reference.pyknotic_area": (0.6, ("judge.calls",)),
    "reference.pyknotic_dna": (1.7, ("judge.calls",)),
    "reference.mislocalised_percentile": (2.5, ("judge.calls",)),
    "quality.focus_z": (4.0, ("judge.limits",)),
    "quality.valid_fields": (0.7, ("judge.limits",)),
    "quality.vehicle_z": (3.0, ("judge.limits",)),
    "quality.saturated": (0.02, ("judge.limits",)),
    "quality.uneven": (0.2, ("judge.limits",)),
    "quality.debris": (0.5, ("judge.limits",)),
    "quality.confluence": (0.8, ("judge.limits",)),
    "quality.trend_p": (0.01, ("judge.limits",)),
    "quality.autofluorescent_z": (4.0, ("judge.limits",)),
    "survival.definition": ("death_dye", ("judge.deaths",)),
    "survival.round_form_factor": (0.9, ("judge.deaths",)),
    "survival.round_area": (0.6, ("judge.deaths",)),
    "survival.edge_um": (20.0, ("judge.deaths",)),
    "survival.jump_um": (9.0, ("judge.deaths",)),
    "survival.sensor_share": (0.5, ("judge.deaths",)),
    "survival.absent_frames": (3, ("judge.deaths",)),
    "survival.max_move_um": (20.0, (*LINKED, *REGISTERED)),
    "survival.max_gap": (1, (*LINKED, *REGISTERED)),
    "survival.merged_growth": (1.6, (*LINKED, *REGISTERED)),
    "survival.max_drift": (0.3, (*LINKED, *REGISTERED)),
    "survival.blurred_slope": (0.5, (*LINKED, *REGISTERED)),
    "acquisition.pixel_size_um": (0.65, ("scan",)),
    "acquisition.reader": ("tiff", ("scan",)),
    "acquisition.measurement": ("plate 2", ("scan",)),
    "acquisition.file_pattern": ("bbbc013", ("scan",)),
    "acquisition.plate_wells": (384, ("scan", "map")),
    "acquisition.line": ("L1", ("scan", "map")),
    "acquisition.z_projection": ("best_focus", ("scan",)),
    "acquisition.flat_field": ("none", ("scan",)),
    "acquisition.time_point": (2, ("scan",)),
    "acquisition.frame_interval_h": (24.0, ("scan", "hours")),
    "response.phenotypes": (("nuclei_density",), ("names",)),
    "response.position_correction": ("b_score", ("judge",)),
}
# What the place calls it, where that is not the key.
NAMES = {
    "inputs": "engine",
    "engine": {
        "segmentation.checkpoint_sha256": "sha256",
        "segmentation.neurite_probability": "neurite_probability",
        "segmentation.accuracy": "accuracy",
    },
    "names": "respond",
    "hours": "interval",
    "judge": {
        "reference.healthy_lines": "healthy_lines",
        "response.position_correction": "position_corrected",
    },
}


def every_key() -> list[str]:
    nested = sections()
    # The accuracy is a figure, not a setting (tests/imaging_service/test_protocol.py).
    del nested["accuracy"]
    return [f"{section}.{key}" for section, part in nested.items() for key in keys_of(part)]


class ReachedError(Exception):
    """A function was called, and the rest of its caller is of no interest."""


def changed(key: str) -> AssayProtocol:
    section, name = key.split(".")
    base = FIXED if key == "acquisition.time_point" else FILM
    return parse_protocol(
        base | {section: {**base.get(section, {}), name: CHANGES[key][0]}}, "p.toml"
    )


class Capture:
    """Every setting that the jobs hand to the science with a protocol, by function and name."""

    def __init__(self, monkeypatch, folder):
        self.patch, self.folder = monkeypatch, folder
        self.values: dict[str, object] = {}

    def keep(self, place: str, kind: type, settings: object) -> None:
        self.values |= {f"{place}.{f.name}": getattr(settings, f.name) for f in fields(kind)}

    def of(self, protocol: AssayProtocol) -> dict[str, object]:
        self.values = {}
        self.scan(protocol)
        self.engine(protocol)
        self.measure(protocol)
        self.judge(protocol)
        self.respond(protocol)
        if protocol.survival is not None:
            self.film(protocol)
        return self.values

    def scan(self, protocol):
        def plan_scan(_, acquisition, limits):
            self.values |= {f"scan.{k}": v for k, v in acquisition}
            raise ReachedError

        def read_plate_map(_, fmt, line, plate):
            self.values |= {"map.plate_wells": fmt and fmt.size, "map.line": line}
            return SimpleNamespace(format=fmt, source="map", records=list)

        self.patch.setattr(plan, "plan_scan", plan_scan)
        self.patch.setattr(plan, "read_plate_map", read_plate_map)
        inputs = plan.read_inputs(self.folder, self.folder / "map.csv", protocol, None, "cpu")
        self.values["inputs.engine"] = inputs.engine
        with pytest.raises(ReachedError):
            plan.identify(inputs)

    def engine(self, protocol):
        def load(
            name, *, device, sizes, sha256=None, neurite_probability=None, accuracy="standard"
        ):
            self.keep("engine.sizes", Sizes, sizes)
            assert type(sizes) is Sizes  # an engine describes itself with all that it is given
            self.values["engine.sha256"] = sha256
            self.values["engine.neurite_probability"] = neurite_probability
            self.values["engine.accuracy"] = accuracy

        self.patch.setattr(engine, "load_segmenter", load)
        engine._engine.cache_clear()
        engine.load_engine(protocol, "motornet", "cpu")
        engine._engine.cache_clear()

    def measure(self, protocol):
        pixels = np.random.default_rng(0).integers(90, 110, (3, 32, 32)).astype(np.uint16)
        roles = ("dna", "neurite", "death")
        lit = SimpleNamespace(illumination=no_illumination(3, "flat"))
        task = SimpleNamespace(
            protocol=protocol,
            well="B02",
            times=(1,),
            hours=(),
            plate=self.folder,
            roles=roles,
            pixel_size_um=0.5,
            plan=PlatePlan("tiff", "p", self.folder, ("1", "2", "3"), 0.5, None, ()),
        )

        def reach(place):
            def measure(_, __, settings, *___):
                self.keep(place, MeasureSettings, settings)
                raise ReachedError

            return measure

        for module in (well, corrections):
            self.patch.setattr(module.plates, "read_field", lambda *_: (pixels, roles, 0.5))
        self.patch.setattr(well, "convert_well", lambda *_: 1)
        self.patch.setattr(well, "measure", reach("measure"))
        self.patch.setattr(well, "_refuse_blank", lambda *_: None)
        run = SimpleNamespace(
            labels=self.folder / "labels.zarr", cancelled=self.folder / "cancelled"
        )
        with pytest.raises(ReachedError):
            well._process(run, task, lit, lambda fields: (Segmentation({}, "t") for _ in fields))
        self.patch.setattr(corrections, "measure", reach("remeasure"))
        self.patch.setattr(corrections, "read_labels", lambda *_: {})
        self.patch.setattr(corrections, "check_cells", lambda *_: None)
        log = SimpleNamespace(
            frame_version=lambda *_: 1, root=self.folder, labels=lambda *_, **__: {}
        )
        record = SimpleNamespace(
            inputs=SimpleNamespace(protocol=protocol), plate=self.folder, pixel_size_um=0.5
        )
        with pytest.raises(ReachedError):
            corrections._measured(run, log, record, lit, ("B02", 1, 1), Ownership({}, 0.5))

    def judge(self, protocol):
        def judge(*_, limits, wells, calls, deaths, healthy_lines, position_corrected, **__):
            self.keep("judge.limits", QualityLimits, limits)
            self.keep("judge.wells", WellSettings, wells)
            self.keep("judge.calls", CallSettings, calls)
            if deaths is not None:
                self.keep("judge.deaths", DeathSettings, deaths)
            self.values |= {
                "judge.healthy_lines": tuple(healthy_lines),
                "judge.position_corrected": tuple(position_corrected),
            }

        self.patch.setattr(summary, "judge", judge)
        summary.judge_plate(*[empty_table("cell")] * 3, {}, protocol, (8, 12))

    def respond(self, protocol):
        """`summarise`, `apply_review` and `rank`, up to the queue."""
        tables = {
            n: empty_table(n[:-1])
            for n in ("cells", "fields", "wells", "checks", "tracks", "hazards")
        }
        judged = SimpleNamespace(**tables)
        shape = SimpleNamespace(rows=8, columns=12)
        whole = SimpleNamespace(
            inputs=SimpleNamespace(protocol=protocol, plate_map=lambda: None),
            wells=(),
            skipped={},
            plate=self.folder,
            plate_name="P",
            plate_format=shape,
            pixel_size_um=0.5,
            run_id="",
            plate_map_digest="",
            protocol_digest="",
            software_version="",
        )

        def respond(place):
            def reach(_, names, *, settings, **__):
                self.keep(place, WellSettings, settings)
                self.values["names.respond"] = tuple(names)
                if place == "respond_again":
                    raise ReachedError
                return SimpleNamespace(curves=(), quality=None, table=None)

            return reach

        def rank(place):
            def reach(*values):
                self.keep(place, AttributionSettings, values[-1])
                raise ReachedError

            return reach

        def lines_to_fit(*_, settings, **__):
            self.keep("lines_to_fit", WellSettings, settings)
            return []

        self.patch.setattr(summary, "load", lambda *_: whole)
        self.patch.setattr(summary, "conditions_table", lambda _: None)
        self.patch.setattr(summary, "judge_plate", lambda *_, **__: judged)
        self.patch.setattr(summary, "respond", respond("respond"))
        self.patch.setattr(summary, "rank_fields", rank("queue"))
        for name in ("write_table", "write_curves", "_keep_light"):
            self.patch.setattr(summary, name, lambda *_, **__: None)
        self.patch.setattr(summary.plates, "finish_plate", lambda *_: None)
        with pytest.raises(ReachedError):
            summary.summarise(self.folder, {})
        self.patch.setattr(
            results,
            "LocalRun",
            lambda _: SimpleNamespace(record=_as_json(protocol), newest=lambda n: n),
        )
        self.patch.setattr(results, "read_table", lambda _: empty_table("field"))
        self.patch.setattr(results, "respond", respond("rank"))
        self.patch.setattr(summary, "rank_fields", rank("queue_again"))
        with pytest.raises(ReachedError):
            results.rank(self.folder)
        (self.folder / "run.json").write_text('{"wells": {}}', encoding="utf-8")
        self.patch.setattr(corrections, "load", lambda *_: whole)
        self.patch.setattr(corrections, "read_table", lambda _: empty_table("field"))
        self.patch.setattr(corrections, "conditions_table", lambda _: None)
        self.patch.setattr(corrections, "judge_plate", lambda *_, **__: judged)
        self.patch.setattr(corrections, "lines_to_fit", lines_to_fit)
        self.patch.setattr(corrections, "respond", respond("respond_again"))
        log = SimpleNamespace(revision=lambda: 1, corrected=list, standing=dict)
        with pytest.raises(ReachedError):
            corrections._apply(
                SimpleNamespace(root=self.folder, record=None, calibration=None), log
            )
        self.patch.undo()

    def film(self, protocol):
        cells = conform(
            pl.DataFrame({"well": ["B02"], "field": [1], "frame": [1], "label": [1]}), "cell"
        )
        described = {"well": "B02", "field": 1, "frame": 1, "usable": True}
        size = {"height_um": 300.0, "width_um": 300.0}
        frames = conform(pl.DataFrame([described | size]), "field")
        task = SimpleNamespace(
            protocol=protocol,
            roles=("dna",),
            pixel_size_um=0.5,
            well="B02",
            plate=self.folder,
            times=(1, 2),
            hours=(),
        )
        pictures = iter(np.random.default_rng(0).normal(0, 1, (4, 1, 8, 8)))
        self.patch.setattr(film.plates, "read_field", lambda *_: (next(pictures), ("dna",), 0.5))

        def link(place):
            def reach(rows, settings):
                self.keep(place, TrackSettings, settings)
                return rows.with_columns(
                    pl.lit(1).alias("track"), pl.lit(value=False).alias("conflict")
                )

            return reach

        def sharp_frames(focus, settings):
            self.keep("sharp_frames", TrackSettings, settings)
            return [True] * len(focus)

        def register(_, __, sharp, ___, settings):
            self.keep("register", TrackSettings, settings)
            still = np.zeros(len(sharp))
            return Registration(np.zeros((len(sharp), 2)), still, still, still == 0)

        self.patch.setattr(film, "sharp_frames", sharp_frames)
        self.patch.setattr(film, "register", register)
        self.patch.setattr(film, "link", link("link"))
        _, described = film.follow_well(
            task,
            cells,
            frames.vstack(frames.with_columns(pl.lit(2, pl.Int64).alias("frame"))),
            set(),
        )
        self.values["hours.interval"] = described["time_h"].to_list()[1]
        self.patch.setattr(film, "link", link("link_again"))
        film.follow_again(task, cells, frames)
        self.patch.undo()


def _as_json(protocol: AssayProtocol) -> dict[str, object]:
    return {"inputs": {"protocol": protocol.model_dump(mode="json")}, "pixel_size_um": 0.5}


def test_every_key_has_a_row():
    assert sorted(CHANGES) == sorted(every_key())


@pytest.mark.parametrize("key", CHANGES)
def test_a_key_changes_exactly_what_it_says(key, monkeypatch, tmp_path):
    value, places = CHANGES[key]
    capture = Capture(monkeypatch, tmp_path)
    base = parse_protocol(FIXED if key == "acquisition.time_point" else FILM, "p.toml")
    other = changed(key)
    before, after = capture.of(base), capture.of(other)
    moved = {name for name in before if before[name] != after[name]}
    expected = set()
    for place in places:
        name = NAMES.get(place, key.split(".")[1])
        expected.add(f"{place}.{name[key] if isinstance(name, dict) else name}")
    assert moved == expected
    for name in expected - {"judge.position_corrected"}:
        assert after[name] == value, name
    assert base.digest() != other.digest()
