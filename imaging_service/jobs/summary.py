"""The last stage, on the whole plate: responses, tables, `run.json` and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from imaging_service.files import write_bytes
from imaging_service.jobs.accuracy import accuracy_of
from imaging_service.jobs.curves import write_curves
from imaging_service.jobs.floor import floor_examples
from imaging_service.jobs.records import (
    LABEL_VERSION,
    Calibration,
    RunFolder,
    RunRecord,
    WellOutcome,
    dump,
    load,
)
from imaging_service.protocol import AssayProtocol
from imaging_service.store import plates
from imaging_service.store.arrival import read_arrival
from imaging_service.store.labels import read_labels
from imaging_service.store.tables import csv_bytes, write_table
from imaging_service.web.report import ReportContent, Thumbnail, render_report
from imaging_service.web.scan_report import scan_findings
from imaging_service.web.undrawn import drawn_or_why
from phenotypes.cells.neurites import AttributionSettings
from phenotypes.columns.dictionary import empty_table
from phenotypes.columns.statuses import WellStatus
from phenotypes.plates.judge import PlateJudgement, judge
from phenotypes.plates.responses import Responses, respond
from phenotypes.plates.review_queue import rank_fields
from plate_maps import PlateMap, Well
from plate_maps.conditions import format_dose

# The tables whose bytes are the result; everything else in the folder describes how they came
# about.
TABLES = ("cells", "fields", "wells", "quality", "responses", "checks", "tracks", "hazards")


# The profiles are smooth: so many pixels on a side show all of them.
_LIGHT_PX = 64


def _keep_light(record: RunRecord, calibration: Calibration) -> None:
    """Keep with the plate what its light is corrected by."""
    light, wells = calibration.illumination, map(Well.parse, record.wells)
    stored = next((w for w in wells if plates.field_count(record.plate, w)), None)
    if stored is None or not any(light.applied):
        return
    # Instruments state profiles in pixels of the field.
    shape = plates.field_shape(record.plate, stored, 1)
    profiles = [
        cv2.resize(
            light.profile(channel, shape), (_LIGHT_PX, _LIGHT_PX), interpolation=cv2.INTER_AREA
        )
        for channel in range(len(record.channels))
    ]
    plates.write_light(
        record.plate,
        record.run_id,
        record.channels,
        calibration.light_sources,
        np.stack(profiles).astype(np.float32),
        light.dark or (None,) * len(record.channels),
    )


def conditions_table(plate_map: PlateMap) -> pl.DataFrame:
    """The plate map as the table that the well table starts from."""
    rows = [
        {
            "well": well.name,
            "line": c.line,
            "genotype": c.genotype,
            "compound": c.compound,
            "dose_molar": c.dose_molar,
            "control": c.control.value,
            "batch": c.batch,
        }
        for well, c in sorted(plate_map.conditions.items())
    ]
    return pl.DataFrame(rows, schema_overrides={"dose_molar": pl.Float64}, infer_schema_length=None)


def summarise(root: Path, outcomes: Mapping[str, WellOutcome]) -> Responses:
    """Write all tables, `run.json` and `report.html`, and finish the plate's metadata.

    `outcomes` holds one entry per well that was to be analysed. The tables are in plate order, in
    whichever order the wells were analysed.
    """
    folder = RunFolder(root)
    record = load(RunRecord, folder.record)
    calibration = load(Calibration, folder.calibration)
    plate_map = record.inputs.plate_map()
    conditions = conditions_table(plate_map)
    ended = {name: (o.status, o.reason) for name, o in sorted(outcomes.items())} | {
        name: (WellStatus.SKIPPED, reason) for name, reason in record.skipped.items()
    }
    names = [w for w in record.wells if outcomes[w].status == "done"]
    cells = _gather([folder.cells(w).with_suffix(".parquet") for w in names], empty_table("cell"))
    fields = _gather(
        [folder.fields(w).with_suffix(".parquet") for w in names], empty_table("field")
    )
    protocol = record.inputs.protocol
    judged = judge_plate(
        cells,
        fields,
        conditions,
        ended,
        protocol,
        (record.plate_format.rows, record.plate_format.columns),
    )
    cells, fields, wells = judged.cells, judged.fields, judged.wells
    responses = respond(
        wells,
        protocol.response.phenotypes,
        pixel_size_um=record.pixel_size_um,
        settings=protocol.measurement,
        plate_shape=(record.plate_format.rows, record.plate_format.columns),
        provenance={
            "run_id": record.run_id,
            "plate_map_digest": record.plate_map_digest,
            "protocol_digest": record.protocol_digest,
            "label_version": LABEL_VERSION,
            "software_version": record.software_version,
        },
    )
    plates.finish_plate(record.plate, record.plate_name, record.plate_format)
    plates.finish_plate(folder.labels, record.plate_name, record.plate_format)
    _keep_light(record, calibration)
    write_table(cells, root / "cells", csv=False)
    write_table(fields, root / "fields", csv=False)
    write_table(wells, root / "wells")
    write_table(responses.quality, root / "quality")
    write_table(judged.checks, root / "checks")
    write_table(judged.tracks, root / "tracks", csv=False)
    write_table(judged.hazards, root / "hazards")
    write_table(responses.table, root / "responses")
    write_curves(root, responses.curves)
    write_queue(root, fields, wells, responses, protocol.response.phenotypes, protocol.measurement)
    write_bytes(
        root / "run.json",
        json.dumps(run_json(record, calibration, ended), indent=1, ensure_ascii=False).encode(),
    )
    write_bytes(
        root / "report.html",
        drawn_or_why(
            record.plate_name,
            lambda: render_report(_content(folder, record, calibration, judged, responses)),
        ),
    )
    return responses


def _content(
    folder: RunFolder,
    record: RunRecord,
    calibration: Calibration,
    judged: PlateJudgement,
    responses: Responses,
) -> ReportContent:
    """What the report shows: the tables, and fields and wells as pictures."""
    examples, no_examples = floor_examples(folder, record, calibration, judged.fields)
    return ReportContent(
        title=record.plate_name,
        record=dump(record) | {"accuracy": accuracy_of(record.inputs.protocol, record.engine)},
        calibration=dump(calibration),
        plate_format=record.plate_format,
        wells=judged.wells,
        fields=judged.fields,
        responses=responses,
        checks=judged.checks,
        hazards=judged.hazards,
        tracks=judged.tracks,
        thumbnails=_thumbnails(folder, record, judged.wells),
        worst=_worst(folder, record, judged.fields),
        scan=scan_findings(read_arrival(folder.root), record.channels),
        floor_examples=examples,
        no_floor_examples=no_examples,
    )


def judge_plate(
    cells: pl.DataFrame,
    fields: pl.DataFrame,
    conditions: pl.DataFrame,
    outcomes: Mapping[str, tuple[str, str]],
    protocol: AssayProtocol,
    plate_shape: tuple[int, int],
    rejected_fields: Mapping[tuple[str, int], str] | None = None,
    rejected_tracks: Mapping[tuple[str, int, int], str] | None = None,
) -> PlateJudgement:
    """Judge a plate by the protocol's settings, without what reviewers rejected.

    See `phenotypes.plates.judge.judge`.
    """
    return judge(
        cells,
        fields,
        conditions,
        outcomes,
        plate_shape,
        limits=protocol.quality,
        wells=protocol.measurement,
        calls=protocol.reference,
        healthy_lines=protocol.reference.healthy_lines,
        deaths=protocol.survival,
        phenotypes=protocol.response.phenotypes,
        position_corrected=(
            protocol.response.phenotypes
            if protocol.response.position_correction == "b_score"
            else ()
        ),
        rejected_fields=rejected_fields,
        rejected_tracks=rejected_tracks,
    )


def write_queue(
    root: Path,
    fields: pl.DataFrame,
    wells: pl.DataFrame,
    responses: Responses,
    names: Sequence[str],
    settings: AttributionSettings,
) -> pl.DataFrame:
    """Rank a run's fields by how much they need review; write and return RUN/review/queue.csv."""
    last = fields.filter(pl.col("frame") == pl.col("frame").max())
    queue = rank_fields(last, wells, responses.curves, names, settings)
    write_bytes(root / "review" / "queue.csv", csv_bytes(queue))
    return queue


def write_summary(root: Path, outcomes: Mapping[str, WellOutcome]) -> None:
    """`summarise` for another process, which need not send the curves back."""
    summarise(root, outcomes)


def run_json(
    record: RunRecord, calibration: Calibration, ended: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """Everything needed to repeat the run, and how each well ended."""
    content = dump(record)
    content["calibration"] = dump(calibration)
    content["label_version"] = LABEL_VERSION
    content["accuracy"] = accuracy_of(record.inputs.protocol, record.engine)
    content["wells"] = {
        name: {"status": status, "reason": reason}
        for name, (status, reason) in sorted(ended.items())
    }
    return content


def _gather(paths: list[Path], empty: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([empty, *(pl.read_parquet(p) for p in paths)])


def _thumbnails(folder: RunFolder, record: RunRecord, wells: pl.DataFrame) -> list[Thumbnail]:
    """Per line: a vehicle well, a positive control, and the highest dose of each compound.

    All are shown with the same contrast.
    """
    done = wells.filter(pl.col("status") == WellStatus.DONE)
    chosen: list[tuple[str, str]] = []
    for line in done["line"].unique().sort():
        line_wells = done.filter(pl.col("line") == line)
        for control in ("vehicle", "positive"):
            chosen += [
                (w, f"{line}, {control}")
                for w in line_wells.filter(pl.col("control") == control)["well"][:1]
            ]
        treated = line_wells.filter((pl.col("control") == "none") & (pl.col("dose_molar") > 0))
        for compound in treated["compound"].unique().sort():
            top = treated.filter(pl.col("compound") == compound).sort(
                "dose_molar", "well", descending=[True, False]
            )
            chosen.append(
                (top["well"][0], f"{line}, {compound} {format_dose(top['dose_molar'][0])}")
            )
    return [_thumbnail(folder, record, name, 1, 1, caption) for name, caption in chosen[:24]]


def _worst(folder: RunFolder, record: RunRecord, fields: pl.DataFrame) -> list[Thumbnail]:
    """Fields that quality control flagged.

    First those that were left out, then those with the longest list of flags.
    """
    flagged = fields.filter(pl.col("qc").fill_null("") != "")
    ranked = flagged.sort(
        pl.col("valid"),
        pl.col("qc").str.len_chars(),
        "well",
        "field",
        "frame",
        descending=[False, True, False, False, False],
    )
    return [
        _thumbnail(
            folder,
            record,
            row["well"],
            row["field"],
            row["frame"],
            f"field {row['field']}: {row['qc']}",
        )
        for row in ranked.head(8).iter_rows(named=True)
    ]


def _thumbnail(
    folder: RunFolder, record: RunRecord, name: str, number: int, frame: int, caption: str
) -> Thumbnail:
    well = Well.parse(name)
    pixels, _, _ = plates.read_field(record.plate, well, number, frame)
    return Thumbnail(
        name,
        caption,
        pixels,
        record.roles,
        read_labels(folder.labels, well, number, frame),
        record.pixel_size_um,
    )
