"""One plate of a bundle: a run's folder, written anew from a white list.

`screen add` reads it as it reads any run, so a bundle gives back the rows that it shows. Nothing is
copied: of a table only known columns are written, of `run.json` only known keys, and every sentence
is freed of names, paths and files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from imaging_service.errors import ReleaseRefused, damaged
from imaging_service.files import write_bytes
from imaging_service.release.contents.corrected import write_corrected
from imaging_service.release.contents.pixels import copy_pixels
from imaging_service.release.material import Material, SourceRun
from imaging_service.release.scan.known import redacted
from imaging_service.store.tables import read_table, write_table
from phenotypes.columns.column import Level
from phenotypes.columns.dictionary import columns, conform

# Text columns whose words are this service's, or what the release is about.
_PLAIN = ("well", "status", "control", "compound", "phenotype")
_SENTENCES = ("reason", "qc", "warnings", "excluded_reason", "population")
_SECTIONS = ("segmentation", "measurement", "quality", "survival", "response")
_ACQUISITION = ("pixel_size_um", "z_projection", "flat_field", "time_point", "frame_interval_h")
_ENGINE = ("engine", "thresholds", "sizes", "precision", "neurite_probability", "accuracy")
_CHECKPOINT = ("sha256", "licence")
_CURVE = (
    *("phenotype", "unit", "status", "ec50_molar", "wells", "dose_molar", "response"),
    *("fit_dose_molar", "fit_response", "fit_low", "fit_high"),
)
_LEVELS: Mapping[str, Level] = {
    "wells": "well",
    "quality": "quality",
    "cells": "cell",
    "fields": "field",
    "tracks": "track",
}


@dataclass(frozen=True)
class ReleasedPlate:
    """A plate as the forms of repositories describe it."""

    plate: str
    wells: pl.DataFrame
    n_left_out: int
    record: Mapping[str, Any]
    images: Mapping[str, Any]


def write_plate(material: Material, run: SourceRun, bundle: Path) -> ReleasedPlate:
    """Write plates/PLATE of a bundle; returns what the forms need. Raises ReleaseRefused."""
    plate = material.ids.of("plate", run.key)
    folder = bundle / "plates" / plate
    wells = exported(run.wells, "well", material, run)
    kept = set(wells["well"])
    for name, level in _LEVELS.items():
        path = run.tables / f"{name}.parquet"
        if not path.is_file():
            path = run.folder / f"{name}.parquet"
        if path.is_file():
            table = exported(read_table(path, ReleaseRefused), level, material, run)
            if "well" in table.columns:
                table = table.filter(pl.col("well").is_in(sorted(kept)))
            # The reviewer reads the wells of a run from its CSV.
            write_table(table, folder / name, csv=name == "wells")
    record = _record(material, run, plate) | {
        "wells": {
            well: {"status": status, "reason": reason}
            for well, status, reason in wells.select("well", "status", "reason").iter_rows()
        }
    }
    write_bytes(folder / "run.json", json.dumps(record, indent=1, ensure_ascii=False).encode())
    curves = exported_curves(run.tables / "curves.json", material)
    write_bytes(folder / "curves.json", json.dumps(curves, ensure_ascii=False).encode())
    images: Mapping[str, Any] = {}
    if material.form.pixels and (run.folder / "plate.zarr").is_dir():
        images = copy_pixels(run.folder, folder, kept, plate, record["plate_format"])
        write_corrected(run.folder, folder / "labels.zarr", kept)
    named = {n for n in run.wells["line"] if n}
    left_out = run.wells.filter(pl.col("line").is_in(sorted(named - set(material.lines))))
    return ReleasedPlate(plate, wells, len(left_out), record, images)


def exported(table: pl.DataFrame, level: Level, material: Material, run: SourceRun) -> pl.DataFrame:
    """A table of a run with the lines that are released, under their export ids."""
    known = columns(level)
    if "line" in table.columns:
        table = table.filter(pl.col("line").is_in(list(material.lines)))
    written = []
    for name, column in known.items():
        if name not in table.columns:
            continue
        if name == "compound" and material.compounds:
            # A bundle has no registry of synonyms: one compound has one name in it.
            names = {v: material.compounds.shown(v) for v in table[name].unique() if v}
            written.append(table[name].replace_strict(names, default=table[name]))
            continue
        if column.dtype != pl.String or name in _PLAIN:
            written.append(table[name])
            continue
        values = table[name].to_list()
        if name == "line":
            values = [material.ids.of("line", v) for v in values]
        elif name == "genotype":
            values = [material.genotype(line) for line in table["line"]]
        elif name == "batch":
            # Plates without a batch stay without one.
            values = [material.ids.of("batch", run.batch(v)) if v else v for v in values]
        elif name in _SENTENCES:
            sentences = {v: redacted(v, material.secrets) for v in set(values) if v}
            values = [sentences.get(v, v) for v in values]
        else:
            continue
        written.append(pl.Series(name, values, dtype=pl.String))
    table = conform(pl.DataFrame(written), level)
    # Rows of wells are in the plate's order; other rows were in the order of the lines' names.
    return table if "well" in table.columns else table.sort("line", maintain_order=True)


def exported_curves(path: Path, material: Material) -> list[dict[str, Any]]:
    """Curves of a run with the lines that are released, which the reviewer draws; none without."""
    if not path.is_file():
        return []
    with damaged(ReleaseRefused, str(path)):
        rows: list[dict[str, Any]] = json.loads(path.read_bytes())
        exported = [
            {
                **{name: row[name] for name in _CURVE},
                "line": material.ids.of("line", row["line"]),
                "compound": material.compounds.shown(row["compound"]),
                "reason": redacted(row["reason"], material.secrets),
            }
            for row in rows
            if row["line"] in material.lines
        ]
    return sorted(exported, key=lambda row: str(row["line"]))


def _record(material: Material, run: SourceRun, plate: str) -> dict[str, Any]:
    """`run.json` by its white list."""
    source, ids = run.record, material.ids
    protocol = source["inputs"]["protocol"]
    healthy = protocol.get("reference", {}).get("healthy_lines", ())
    return {
        "run_id": ids.digest("run", str(source["run_id"])),
        "plate_digest": ids.digest("plate", str(source["plate_digest"])),
        "plate_name": plate,
        "plate": "plate.zarr",
        "plate_map_digest": ids.digest("map", str(source["plate_map_digest"])),
        # It names healthy lines and its author, who could be guessed from a plain digest.
        "protocol_digest": ids.digest("protocol", str(source["protocol_digest"])),
        "software_version": source["software_version"],
        "label_version": max(run.label_version, int(source.get("label_version", 1))),
        "pixel_size_um": source["pixel_size_um"],
        "plate_format": source["plate_format"],
        "channels": list(source.get("channels", ())),
        "roles": list(source.get("roles", ())),
        "engine": _engine(source.get("engine", {})),
        "thresholds": _numbers(source.get("calibration", {}).get("thresholds", {})),
        "packages": dict(source.get("packages", {})),
        "inputs": {
            "protocol": {
                **{name: protocol[name] for name in _SECTIONS if name in protocol},
                "acquisition": {
                    name: protocol["acquisition"][name]
                    for name in _ACQUISITION
                    if name in protocol.get("acquisition", {})
                },
                "segmentation": _engine(protocol.get("segmentation", {})),
                "reference": {
                    **_numbers(protocol.get("reference", {})),
                    "healthy_lines": sorted(
                        ids.of("line", n) for n in healthy if n in material.lines
                    ),
                },
            }
        },
    }


def _engine(described: Mapping[str, Any]) -> dict[str, Any]:
    """An engine without the path of its checkpoint: its digest says which it is."""
    kept = {
        name: value
        for name, value in described.items()
        if name in _ENGINE or isinstance(value, int | float) or name == "checkpoint_sha256"
    }
    checkpoint = described.get("checkpoint")
    if isinstance(checkpoint, Mapping):
        kept["checkpoint"] = {name: checkpoint.get(name) for name in _CHECKPOINT}
    if "engine" in kept:
        name, _, path = str(kept["engine"]).partition(":")
        kept["engine"] = name if "/" in path or "\\" in path else str(kept["engine"])
    return kept


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is None or isinstance(v, int | float)}
