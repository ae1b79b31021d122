"""A drawn plate through the shipped path: files, calibration, wells, summary; and what came out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import tifffile

from imaging_service.errors import ServiceError
from imaging_service.jobs.calibrate import calibrate
from imaging_service.jobs.plan import identify, lay_out, read_inputs
from imaging_service.jobs.records import RunFolder
from imaging_service.jobs.summary import summarise
from imaging_service.jobs.well import begin, process_well
from imaging_service.protocol import parse_protocol
from imaging_service.web import charts
from phenotypes.columns.disturbances import published
from segmentation.phantoms.films import film_truth, render_film
from tests.matrix.plates import TARGETS, Either, FilmPlate, Plate, recorded
from tests.matrix.scenes import ROLES, Scene, Truth, draw

# Half of a small plate's time would go into the report's script, which is always the same.
charts.page_script = cache(charts.page_script)

FILM_WELLS = ("B03", "D03", "D04")
Values = dict[str, float | None]


@dataclass(frozen=True)
class Result:
    """Of the target wells: mean of each column ("level.name"), its truth, and all words said."""

    values: Values
    truth: Values
    words: str
    px: float


@lru_cache(maxsize=200)
def _drawn(scene: Scene):
    return draw(scene)


def run(plate: Either, engine: str) -> Result:
    """Draw, analyse and read a plate."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if isinstance(plate, FilmPlate):
            truth, protocol = _write_film(plate, root), _film_protocol(plate, engine)
        else:
            truth, protocol = _write_plate(plate, root), _protocol(engine)
        try:
            out = _analyse(root, protocol)
        except ServiceError as error:
            nothing = {f"{c.level}.{c.name}": None for c in published()}
            return Result(nothing, truth, str(error), plate.px)
        return Result(_values(out), truth, _words(out), plate.px)


def _analyse(root: Path, protocol: dict[str, object]) -> Path:
    parsed = parse_protocol(protocol, "matrix")
    inputs = read_inputs(root / "Plate", root / "map.csv", parsed, None, "cpu")
    folder = RunFolder(root / "run")
    record = lay_out(*identify(inputs), folder)
    begin(record.plate)
    calibrate(folder)
    summarise(folder.root, {name: process_well(folder.root, name) for name in record.wells})
    return folder.root


def _protocol(engine: str) -> dict[str, object]:
    return {
        "name": "matrix",
        "channels": {role: str(n) for n, role in enumerate(ROLES, start=1)},
        "segmentation": {"engine": engine},
        "response": {"phenotypes": ["live_density", "nc_log2_aggregate"]},
    }


def _film_protocol(plate: FilmPlate, engine: str) -> dict[str, object]:
    return {
        "name": "matrix film",
        "channels": {"neurite": "1", "death": "2"},
        "segmentation": {"engine": engine},
        "acquisition": {"frame_interval_h": 12.0, "pixel_size_um": plate.px},
        "survival": {"definition": "reporter_loss"},
        "response": {"phenotypes": ["rmst_h"]},
    }


def _write_map(root: Path, wells: Sequence[str], vehicles: Sequence[str]) -> None:
    rows = ["well,line,genotype,compound,dose,unit,control,batch"]
    for well in wells:
        what = "DMSO,,,vehicle" if well in vehicles else "x,1,uM,"
        rows.append(f"{well},L1,healthy,{what},b1")
    (root / "map.csv").write_text("\n".join(rows) + "\n")


def _write(path: Path, plane, px: float, date: datetime | None = None) -> None:
    more = {} if date is None else {"AcquisitionDate": date.strftime("%Y-%m-%dT%H:%M:%S")}
    path.parent.mkdir(parents=True, exist_ok=True)
    size = {"axes": "YX", "PhysicalSizeX": px, "PhysicalSizeY": px, **more}
    tifffile.imwrite(path, plane, ome=True, metadata=size)


def _write_plate(plate: Plate, root: Path) -> Values:
    drawn: dict[str, list[Truth]] = {}
    for well, scenes in plate.wells:
        for number, scene in enumerate(scenes, start=1):
            if (well, number) in plate.absent:
                continue
            pixels, truth = _drawn(scene)
            drawn.setdefault(well, []).append(truth)
            for channel, plane in enumerate(recorded(plate, pixels), start=1):
                _write(root / "Plate" / f"p_{well}_s{number}_w{channel}.tif", plane, plate.px)
    _write_map(root, [well for well, _ in plate.wells], plate.vehicles)
    return _truth([drawn[w] for w in TARGETS])


def _truth(wells: list[list[Truth]]) -> Values:
    """True value of each column that has one: mean over the wells, as it is measured."""
    rows: list[Values] = []
    for fields in wells:
        nuclei, neurons, motor, pyknotic = (
            sum(getattr(f, k) for f in fields) for k in ("nuclei", "neurons", "motor", "pyknotic")
        )
        area, length = sum(f.area_mm2 for f in fields), sum(f.length_um for f in fields)

        def over(name: str, fields: list[Truth] = fields):
            return np.array([v for f in fields for v in getattr(f, name)] or [np.nan], float)

        puncta, granules = over("puncta"), over("granules")
        rows.append(
            {
                "fewest": motor,
                "well.n_fields": len(fields),
                "well.n_valid_fields": len(fields),
                "well.area_mm2": area,
                "field.valid_area_mm2": area / len(fields),
                "well.nuclei_count": nuclei,
                "field.nuclei_count": nuclei / len(fields),
                "well.neuron_count": neurons,
                "well.motor_neuron_count": motor,
                "well.live_count": motor,
                "well.nuclei_density": nuclei / area,
                "well.live_density": motor / area,
                "well.purity": motor / neurons if neurons else None,
                "well.pyknotic_fraction": pyknotic / nuclei if nuclei else None,
                "well.neurite_length_total": length,
                "field.neurite_length_um": length / len(fields),
                "well.neurite_length_density": length / 1000 / area,
                "well.neurite_length_per_neuron": length / neurons if neurons else None,
                "well.nucleus_area_mean": float(over("nucleus_um2").mean()),
                "well.soma_area_mean": float(over("soma_um2").mean()),
                "well.nc_log2_aggregate": float(over("nc_log2").mean()),
                "well.puncta_per_neuron": float(puncta.mean()),
                "cell.nucleus_area_um2": float(over("nucleus_um2").mean()),
                "cell.soma_area_um2": float(over("soma_um2").mean()),
                "cell.nc_log2_aggregate": float(over("nc_log2").mean()),
                "cell.puncta_count": float(puncta.mean()),
                "cell.granule_count": float(granules.mean()),
                "well.puncta_positive_fraction": float((puncta > 0).mean()),
                "well.puncta_many_fraction": float((puncta >= 3).mean()),
                "well.granules_per_neuron": float(granules.mean()),
                "well.granule_positive_fraction": float((granules > 0).mean()),
            }
        )
    known = [k for k in rows[0] if all(r[k] is not None for r in rows)]
    means: Values = {k: float(np.mean([r[k] for r in rows])) for k in known}
    return means | {"fewest": min(r["fewest"] for r in rows)}


def _write_film(plate: FilmPlate, root: Path) -> Values:
    for well in FILM_WELLS:
        frames = list(render_film(plate.film, plate.optics, _seed(well)))
        if plate.copied:
            frames[plate.copied - 1] = frames[plate.copied - 2]
        for number, date in zip(plate.numbers, plate.dates(), strict=True):
            for c, plane in enumerate(frames[number - 1].pixels, start=1):
                path = root / "Plate" / f"TimePoint_{number}" / f"p_{well}_s1_w{c}.tif"
                _write(path, plane, plate.px, date if plate.dated else None)
    _write_map(root, FILM_WELLS, FILM_WELLS[:1])
    return film_values(plate)


def _seed(well: str) -> int:
    return int(well[1:]) + 100 * ord(well[0])


def film_values(plate: FilmPlate) -> Values:
    """True values of the target wells of a film.

    Two frames must show that a neuron is gone, so that the study ends with the last but one.
    """
    lives, ends, died, drift, turn = [], [], [], [], []
    frames = np.array(plate.numbers) - 1
    for well in TARGETS:
        truth = film_truth(plate.film, plate.optics, _seed(well))
        seen = ((truth.start_um > 0) & (truth.start_um < plate.side * plate.px)).all(1)
        death, last = truth.death_h[seen], plate.hours[-2]
        drift.append(truth.drift_um[frames].mean(axis=0))
        turn.append(float(truth.turn_deg[frames].mean()))
        lives.append(float(np.minimum(death, last).mean()))
        ends.append(float((death > last).mean()))
        died.append(int((death <= last).sum()))
    y, x = np.mean(drift, axis=0)
    return {
        "field.drift_y_um": float(y),
        "field.drift_x_um": float(x),
        "field.turn_deg": float(np.mean(turn)),
        "well.rmst_h": float(np.mean(lives)),
        "well.n_deaths": float(np.mean(died)),
        "well.survival_end": float(np.mean(ends)),
        "field.time_h": float(np.mean(plate.hours)),
    }


def _values(out: Path) -> Values:
    tables = {
        level: pl.read_parquet(out / f"{level}s.parquet").filter(pl.col("well").is_in(TARGETS))
        for level in ("cell", "field", "well")
    }
    cells = tables["cell"].filter(
        pl.col("is_neuron").fill_null(value=False),
        ~pl.col("is_pyknotic").fill_null(value=False),
        ~pl.col("touches_border").fill_null(value=False),
    )
    values: Values = {}
    for column in published():
        series = (cells if column.level == "cell" else tables[column.level])[column.name]
        known = series.drop_nulls()
        # A mean over fewer wells or fields than there are is of other cells; of neurons, half do.
        enough = (
            len(known) > len(series) / 2 if column.level == "cell" else len(known) == len(series)
        )
        values[f"{column.level}.{column.name}"] = (
            float(known.mean()) if enough and len(known) else None
        )
    return values


def _words(out: Path) -> str:
    """All that a reader is told of the target wells, and of the run."""
    said: list[str] = []
    for name, columns in (("wells", ("status", "reason", "qc")), ("fields", ("qc", "warnings"))):
        table = pl.read_parquet(out / f"{name}.parquet").filter(pl.col("well").is_in(TARGETS))
        said += [str(v) for c in columns for v in table[c].unique().drop_nulls()]
    record = json.loads((out / "run.json").read_text())
    said += [*record["notes"], *record["findings"], *record["calibration"]["notes"]]
    checks = pl.read_parquet(out / "checks.parquet")
    if "status" in checks.columns:
        said += [str(r) for r in checks.filter(pl.col("status") == "warning").iter_rows()]
    return "\n".join(said)
