"""A phantom plate, written as a microscope writes one: three lines, two compounds, known EC50s.

Both compounds act by a Hill curve on expected values of the culture. The rescuer lifts the disease
line's neurite length and its nuclear : cytoplasmic ratio and clears its puncta; on healthy and
isogenic lines it does nothing. The toxic compound kills neurons of all lines and touches nothing
else, so everything else about it is flat. Wells vary around these values as wells do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

import numpy as np
import polars as pl
import tifffile

from imaging_service.store.tables import write_table
from phenotypes.columns.statuses import ResponseStatus
from plate_maps import Well
from segmentation.phantoms.render import Culture, Optics, render

DOSES = tuple(float(f"{d:.4g}") for d in np.geomspace(1e-8, 3e-5, 8))
FIELDS = 2
REPLICATES, VEHICLES, POSITIVES = 2, 8, 4
CHANNELS = ("dna", "neurite", "aggregate")
RESCUER, TOXIC, POSITIVE = "rescuer-1", "toxic-1", "reference-rescuer"
# Well-to-well standard deviations: of the logarithm of density and length, and of the log2 ratio.
DENSITY_SD, LENGTH_SD, NC_SD, PUNCTA_SD = 0.10, 0.08, 0.08, 0.15


@dataclass(frozen=True)
class Line:
    """A line's vehicle state and its EC50s in mol/L (None: the compound does nothing to it)."""

    name: str
    genotype: str
    neurite_length_um: float
    nc_log2: float
    puncta: float
    rescue_ec50: float | None
    toxic_ec50: float


LINES = (
    Line("HC-01", "healthy", 220.0, 1.4, 0.3, None, 3.0e-6),
    Line("SOD1-07", "SOD1 p.A5V", 110.0, 0.3, 3.0, 4.0e-7, 6.0e-7),
    Line("SOD1-07-iso", "SOD1 corrected", 215.0, 1.35, 0.35, None, 2.0e-6),
)
HEALTHY = LINES[0]
RESCUE_HILL, TOXIC_HILL = 1.2, 1.5
SURVIVING = 0.15  # share of neurons that the highest dose of the toxic compound leaves
DENSITY = 300.0

# Which phenotypes each compound moves; all others are flat.
_RESCUED = (
    "neurite_length_density",
    "neurite_length_per_neuron",
    "nc_log2_aggregate",
    "puncta_per_neuron",
)
_KILLED = ("live_density", "neurite_length_density")
PHENOTYPES = (
    "live_density",
    "neurite_length_density",
    "neurite_length_per_neuron",
    "nc_log2_aggregate",
    "puncta_per_neuron",
)

_ENGINE_NOTE = (
    "drawn cells need no more, and the recovery figures were measured with it;"
    " your plates get motornet"
)
PROTOCOL = f"""name = "phantom-fixed-endpoint"
notes = "The phantom plate that `imaging-service phantom` writes."

[channels]
dna = "1"
neurite = "2"
aggregate = "3"

[segmentation]
engine = "classical"  # {_ENGINE_NOTE}

[response]
phenotypes = {list(PHENOTYPES)}
""".replace("'", '"')


@dataclass(frozen=True)
class PlannedWell:
    """A well of the phantom plate: its label on the map and the culture that is drawn."""

    well: Well
    line: Line
    compound: str
    dose: float
    control: str
    culture: Culture


def hill(dose: float, ec50: float, slope: float) -> float:
    """Share of the full effect at a dose."""
    return 0.0 if dose == 0 else 1 / (1 + (ec50 / dose) ** slope)


def layout(seed: int) -> list[PlannedWell]:
    """Wells of the plate in plate order.

    Positions are randomised over the inner wells of a 384-well plate.
    """
    rng = np.random.default_rng([seed, 0])
    conditions: list[tuple[Line, str, float, str]] = []
    for line in LINES:
        conditions += [(line, "DMSO", 0.0, "vehicle")] * VEHICLES
        conditions += [(line, POSITIVE, 1e-5, "positive")] * POSITIVES
        conditions += [
            (line, compound, dose, "")
            for compound in (RESCUER, TOXIC)
            for dose in DOSES
            for _ in range(REPLICATES)
        ]
    places = [Well(r, c) for r in range(2, 16) for c in range(2, 24)]
    chosen = [places[i] for i in sorted(rng.choice(len(places), len(conditions), replace=False))]
    order = rng.permutation(len(conditions))
    return [_planned(rng, well, *conditions[i]) for well, i in zip(chosen, order, strict=True)]


def _planned(
    rng: np.random.Generator, well: Well, line: Line, compound: str, dose: float, control: str
) -> PlannedWell:
    rescued = (
        1.0
        if control == "positive"
        else (
            hill(dose, line.rescue_ec50, RESCUE_HILL)
            if compound == RESCUER and line.rescue_ec50
            else 0.0
        )
    )
    killed = hill(dose, line.toxic_ec50, TOXIC_HILL) if compound == TOXIC else 0.0
    length = line.neurite_length_um + rescued * (HEALTHY.neurite_length_um - line.neurite_length_um)
    nc = line.nc_log2 + rescued * (HEALTHY.nc_log2 - line.nc_log2)
    puncta = line.puncta + rescued * (HEALTHY.puncta - line.puncta)
    culture = Culture(
        neurons_per_mm2=DENSITY
        * (1 - (1 - SURVIVING) * killed)
        * float(rng.lognormal(0, DENSITY_SD)),
        pyknotic_per_mm2=20.0 + 150.0 * killed,
        neurite_length_um=length * float(rng.lognormal(0, LENGTH_SD)),
        nc_log2=nc + float(rng.normal(0, NC_SD)),
        puncta_per_neuron=puncta * float(rng.lognormal(0, PUNCTA_SD)),
    )
    return PlannedWell(well, line, compound, dose, control, culture)


def write_phantom_plate(
    out: Path, seed: int, *, optics: Optics | None = None, only: int | None = None
) -> Iterator[int]:
    """Write Phantom-SEED/, plate_map.csv, protocol.toml and truth/.

    Yields the number of wells written so far. `only` is the number of wells to keep per line, for a
    quick look.
    """
    optics = optics or Optics()
    wells = layout(seed)
    if only is not None:
        kept: dict[str, int] = {}
        wells = [
            w
            for w in wells
            if kept.setdefault(w.line.name, 0) < only
            and not kept.update({w.line.name: kept[w.line.name] + 1})
        ]
    out.mkdir(parents=True, exist_ok=True)
    (out / "plate_map.csv").write_text(_map_csv(wells), encoding="utf-8-sig")
    (out / "protocol.toml").write_text(PROTOCOL, encoding="utf-8")
    scan = out / f"Phantom-{seed}" / "TimePoint_1"
    scan.mkdir(parents=True, exist_ok=True)
    # The seed of a field depends only on the plate's seed and the field's place: any order and
    # number of processes draw the same pixels.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        tables = []
        for done, table in enumerate(
            pool.map(
                _write_well, wells, [scan] * len(wells), [seed] * len(wells), [optics] * len(wells)
            ),
            start=1,
        ):
            tables.append(table)
            yield done
    for kind in tables[0]:
        write_table(pl.concat([t[kind] for t in tables]), out / "truth" / kind)
    write_table(true_responses(), out / "truth" / "responses")


def _map_csv(wells: list[PlannedWell]) -> str:
    rows = ["well,line,genotype,compound,dose,unit,control,batch"]
    rows += [
        f"{w.well},{w.line.name},{w.line.genotype},{w.compound},{w.dose * 1e6:.10g},uM,{w.control},"
        "diff-1"
        for w in wells
    ]
    return "\n".join(rows) + "\n"


def _write_well(
    planned: PlannedWell, scan: Path, seed: int, optics: Optics
) -> dict[str, pl.DataFrame]:
    """Render and write one well's fields; returns its truth tables."""
    nuclei, neurites, puncta = [], [], []
    for number in range(1, FIELDS + 1):
        phantom = render(
            planned.culture,
            optics,
            np.random.SeedSequence([seed, planned.well.row, planned.well.column, number]),
        )
        for c in range(len(CHANNELS)):
            # tifffile would draw a random UUID, and the same seed would not give the same files.
            identity = str(
                UUID(
                    int=seed << 64
                    | planned.well.row << 32
                    | planned.well.column << 16
                    | number << 8
                    | c
                )
            )
            # Imaged row by row, 4 s per field; the date means nothing.
            turn = FIELDS * (24 * (planned.well.row - 1) + planned.well.column - 1) + number - 1
            taken = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=4 * turn)
            size = {
                "axes": "YX",
                "AcquisitionDate": taken.strftime("%Y-%m-%dT%H:%M:%S"),
                "PhysicalSizeX": optics.pixel_size_um,
                "PhysicalSizeY": optics.pixel_size_um,
            }
            tifffile.imwrite(
                scan / f"Phantom-{seed}_{planned.well}_s{number}_w{c + 1}.tif",
                phantom.field.pixels[c],
                compression="zlib",
                predictor=True,
                ome=True,
                metadata=size | {"UUID": identity},
            )
        truth, px = phantom.truth, optics.pixel_size_um
        place = {"well": planned.well.name, "field": number}
        area = np.bincount(truth.nuclei.ravel(), minlength=len(truth.neuron) + 1)[1:] * px**2
        soma = np.bincount(truth.somas.ravel(), minlength=len(truth.neuron) + 1)[1:] * px**2
        nuclei += [
            {
                **place,
                "nucleus": i + 1,
                "is_neuron": bool(truth.neuron[i]),
                "is_pyknotic": bool(truth.pyknotic[i]),
                "nucleus_area_um2": float(area[i]),
                "soma_area_um2": float(soma[i]),
                "nc_log2": None if np.isnan(truth.nc_log2[i]) else float(truth.nc_log2[i]),
            }
            for i in range(len(truth.neuron))
            if area[i] > 0
        ]
        neurites += [
            {**place, "nucleus": n, "length_um": float(length)}
            for n, length in zip(truth.neurite_nucleus, truth.neurite_length_um, strict=True)
        ]
        puncta += [
            {**place, "nucleus": int(n), "y_um": float(y * px), "x_um": float(x * px)}
            for n, (y, x) in zip(truth.puncta_nucleus, truth.puncta_yx, strict=True)
        ]
    place_schema = {"well": pl.String(), "field": pl.Int64(), "nucleus": pl.Int64()}
    real, flag = pl.Float64(), pl.Boolean()
    return {
        "nuclei": pl.DataFrame(
            nuclei,
            {
                **place_schema,
                "is_neuron": flag,
                "is_pyknotic": flag,
                "nucleus_area_um2": real,
                "soma_area_um2": real,
                "nc_log2": real,
            },
        ),
        "neurites": pl.DataFrame(neurites, {**place_schema, "length_um": real}),
        "puncta": pl.DataFrame(puncta, {**place_schema, "y_um": real, "x_um": real}),
    }


def true_responses() -> pl.DataFrame:
    """Line × compound × phenotype with its true EC50 and Hill slope; null where nothing happens.

    Neurite length per area is density × length. Each compound moves only one of the two, so the
    EC50 is that of the one that moves.
    """
    rows = []
    for line in LINES:
        for compound, moved in ((RESCUER, _RESCUED), (TOXIC, _KILLED)):
            for phenotype in PHENOTYPES:
                ec50 = line.rescue_ec50 if compound == RESCUER else line.toxic_ec50
                active = phenotype in moved and ec50 is not None
                rows.append(
                    {
                        "line": line.name,
                        "compound": compound,
                        "phenotype": phenotype,
                        "true_ec50_molar": ec50 if active else None,
                        "true_hill": (
                            (RESCUE_HILL if compound == RESCUER else TOXIC_HILL) if active else None
                        ),
                        "true_status": ResponseStatus.OK if active else ResponseStatus.FLAT,
                    }
                )
    return pl.DataFrame(
        rows,
        {
            "line": pl.String,
            "compound": pl.String,
            "phenotype": pl.String,
            "true_ec50_molar": pl.Float64,
            "true_hill": pl.Float64,
            "true_status": pl.String,
        },
    )


def beside_truth(responses: pl.DataFrame) -> pl.DataFrame:
    """The response table with the truth joined to it and whether they agree.

    An active curve agrees if its EC50's interval, which may be open at one end, covers the true
    one; a flat one if it was called flat.
    """
    joined = responses.join(
        true_responses(), on=["line", "compound", "phenotype"], how="inner", maintain_order="left"
    )
    true = pl.col("true_ec50_molar")
    covered = (
        pl.col("status").is_in([ResponseStatus.OK, ResponseStatus.NOT_DETERMINED])
        & ~(pl.col("ec50_low").is_null() & pl.col("ec50_high").is_null())
        & (pl.col("ec50_low").is_null() | (pl.col("ec50_low") <= true))
        & (pl.col("ec50_high").is_null() | (pl.col("ec50_high") >= true))
    )
    return joined.with_columns(
        pl.when(true.is_null())
        .then(pl.col("status") == ResponseStatus.FLAT)
        .otherwise(covered)
        .alias("agrees")
    )


def quick_optics() -> Optics:
    """Smaller fields for tests."""
    return replace(Optics(), shape=(320, 320))
