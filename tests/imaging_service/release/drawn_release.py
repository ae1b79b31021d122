"""A laboratory with three plates, fourteen lines, a registry with consents, and a release form."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from imaging_service.files import write_bytes
from imaging_service.release.form import new_release
from imaging_service.release.gate.consent import Tier
from imaging_service.screens.folder import add_run, set_registry
from imaging_service.store.labels import LabelWriter
from imaging_service.store.plates import begin_plate, finish_plate, well_path, write_well
from phenotypes.columns.dictionary import conform
from plate_maps import PlateFormat, Well
from plate_maps.registry import Batch, Line, write
from tests.imaging_service.written_runs import write_run
from tests.phenotypes.drawn_screens import ladder_wells

VARIANTS = ("p.A5V", "p.G94A", "p.D91A", "p.L145F", "p.I114T", "p.H47R")
PATIENTS = [f"MND-{i}07" for i in range(1, 7)]
CORRECTED = [f"{name}-iso" for name in PATIENTS]
WITHDRAWN, AT_HOME = "MND-W01", "MND-H02"
LINES = [*PATIENTS, *CORRECTED, WITHDRAWN, AT_HOME]
PLATES = ("Okafor-pl31", "Okafor-pl32", "Okafor-pl33")
OPERATOR, DATE = "mkeller", "2025-11-0{}T09:30:00"
NAMES = ["live_density", "nc_log2_aggregate"]


def registry() -> list[Line]:
    """Six patients of one gene with a corrected line each, a withdrawn donor, and one who stays."""
    patients = [
        Line(
            name,
            f"don-{number}88",
            f"SOD1 {variant}",
            gene="SOD1",
            hgvs=variant,
            zygosity="heterozygous",
            sex=("female", "male")[number % 2],
            age_at_sampling=("50-59", "60-69")[number % 2],
            country="NL",
            clone=f"cl-{number}",
            passage="23",
            hpscreg=f"UKXi00{number}-A",
            bank="Nordbank 4",
            consent="GRU",
            consent_scope="open",
        )
        for number, (name, variant) in enumerate(zip(PATIENTS, VARIANTS, strict=True), start=1)
    ]
    corrected = [
        replace(
            line,
            line=f"{line.line}-iso",
            isogenic_parent=line.line,
            genotype="corrected",
            hgvs="",
            gene="",
            zygosity="wild type",
        )
        for line in patients
    ]
    withdrawn = replace(patients[0], line=WITHDRAWN, donor="don-w9", hpscreg="", withdrawn="yes")
    at_home = replace(patients[0], line=AT_HOME, donor="don-h9", hpscreg="", consent="GRU-IRB")
    return [*patients, *corrected, withdrawn, at_home]


def write_registry(folder: Path, lines: list[Line]) -> tuple[Path, Path]:
    """lines.tsv and batches.tsv in a folder."""
    batches = [
        Batch(f"b{i}", operator=OPERATOR, cryo_lot=f"cryo-77{i}", plating_day="18")
        for i in range(3)
    ]
    write_bytes(folder / "lines.tsv", write(lines, Line).encode())
    write_bytes(folder / "batches.tsv", write(batches, Batch).encode())
    return folder / "lines.tsv", folder / "batches.tsv"


def write_pixels(run: Path, wells: list[str], secret: str) -> None:
    """Two fields of 24 × 16 px in each well, with attributes that must not travel."""
    rng = np.random.default_rng(5)
    for store in ("plate.zarr", "labels.zarr"):
        begin_plate(run / store)
    for name in wells:
        place = well_path(Well.parse(name))
        fields = [rng.integers(90, 900, (2, 24, 16)).astype(np.uint16) for _ in range(2)]
        write_well(
            run / "plate.zarr" / place,
            fields,
            ("DAPI", "A488"),
            ("dna", "neurite"),
            0.65,
            name=name,
        )
        attributes = json.loads((run / "plate.zarr" / place / "zarr.json").read_bytes())
        attributes["attributes"]["source"] = f"/mnt/screens/{secret}/{name}.tif"
        (run / "plate.zarr" / place / "zarr.json").write_text(json.dumps(attributes))
        labels = LabelWriter(run / "labels.zarr" / place, 0.65, 1)
        for field in (1, 2):
            labels.write(field, {"nuclei": np.eye(24, 16, dtype=np.int32)})
        labels.finish()
    for store in ("plate.zarr", "labels.zarr"):
        finish_plate(run / store, secret, PlateFormat(16, 24))


def laboratory(root: Path) -> Path:
    """Screen and runs of the laboratory, under `root`."""
    wells = ladder_wells(
        np.random.default_rng(3),
        LINES,
        wells=2,
        vehicles=4,
        gap=0.6,
        isogenic=CORRECTED,
        span={"nc_log2_aggregate": 0.4, "live_density": -0.8},
    )
    for number, plate in enumerate(PLATES):
        of_plate = wells.filter(pl.col("batch") == f"b{number}")
        run = write_run(
            root / plate,
            of_plate,
            number + 1,
            plate_name=plate,
            plate_digest=f"{number + 1:x}" * 40,
            plate_map_digest=f"{number + 7:x}" * 40,
            protocol_digest="5e" * 32,
            channels=["DAPI", "A488"],
            roles=["dna", "neurite"],
            engine={
                "engine": f"motornet:/models/{OPERATOR}/best.pt",
                "device": "cuda:1",
                "checkpoint": {"sha256": "ab" * 32, "licence": "BSD", "origin": f"by {OPERATOR}"},
            },
            packages={"numpy": "2.4.6"},
            calibration={"thresholds": {"soma": 120.5}},
            source_files={f"{plate}_B02_s{s}.tif": "0" for s in (1, 2)},
            inputs={
                "scan": f"/mnt/screens/{plate}",
                "plate_map_source": f"map_{plate}.csv",
                "protocol": {
                    "name": "p",
                    "notes": f"by {OPERATOR}",
                    "acquisition": {"measurement": plate, "line": "", "pixel_size_um": None},
                    "segmentation": {"engine": "motornet", "nucleus_diameter_um": 11.0},
                    "response": {"phenotypes": NAMES},
                    "reference": {"healthy_lines": list(CORRECTED), "pyknotic_area": 0.5},
                },
            },
        )
        failed = pl.col("well") == "A05"
        why = pl.lit(f"/mnt/screens/{plate}/A05.tif cannot be read, {OPERATOR}")
        lost = pl.read_parquet(run / "wells.parquet").with_columns(
            pl.when(failed).then(pl.lit("failed")).otherwise("status").alias("status"),
            pl.when(failed).then(why).otherwise("reason").alias("reason"),
            pl.when(pl.col("well").is_in(["A01", "A02"]) & (number == 0))
            .then(2)
            .otherwise(0)
            .alias("n_fields"),
        )
        lost.write_parquet(run / "wells.parquet")
        cells = pl.DataFrame({"well": lost["well"], "field": [1] * len(lost)})
        conform(cells, "cell").write_parquet(run / "cells.parquet")
        add_run(root / "als", run, "okafor-lab")
    write_pixels(root / PLATES[0], ["A01", "A02"], PLATES[0])
    set_registry(root / "als", *write_registry(root, registry()))
    return root


def filled_form(folder: Path, root: Path, tier: Tier = Tier.OPEN, **changes: object) -> Path:
    """A release with its form filled in; `changes` are lines of the form by their key."""
    path = new_release(
        folder, root / "als", [root / plate for plate in PLATES], tier, root / "ledger.jsonl"
    )
    values: dict[str, object] = {
        "title": "Motor neurons of six patients under one compound",
        "description": "A screen of neurite length and localisation in patient lines",
        "keywords": ["motor neuron", "ALS"],
        "publisher": "A university",
        "repository": "Synapse",
        "sample_preparation": "Fixed with 4 % PFA",
        "growth_protocol": "10.17504/protocols.io.abcd",
        "first_name": "Ada",
        "last_name": "Lee",
        "email": "ada.lee@example.org",
        "affiliation": "A university",
        "affiliation_url": "https://ror.org/000000000",
        "instrument": "Opera Phenix",
        "objective": "20×",
        "numerical_aperture": "1.0",
        "imaging_method": "spinning disk confocal microscopy",
        "fbbi": "FBbi:00000253",
        "plate_type": "384 CellCarrier Ultra",
        "plate_manufacturer": "Revvity",
        "fluorophore": "Alexa 488",
        "target": "TUBB3",
        "antibody_rrid": "RRID:AB_2313773",
        "secrets": ["Okafor"],
        # The plates have wells of a donor who withdrew.
        "withdrawn_in_calibration": True,
    } | changes
    text = path.read_text(encoding="utf-8")
    for key, value in values.items():
        text, count = re.subn(
            rf"(?m)^{key} = .*$", lambda _, k=key, v=value: f"{k} = {json.dumps(v)}", text
        )
        assert count, key
    dates = "\n".join(f'"{plate}" = {DATE.format(i)}' for i, plate in enumerate(PLATES, start=1))
    path.write_text(text + dates + "\n", encoding="utf-8")
    return folder
