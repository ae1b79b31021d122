"""Correct a run's tables after a review.

Only corrected fields are measured again, and only the curves that moved are fitted again. The
engine's tables of a run never change. What follows from corrections and verdicts stands beside them
in RUN/corrected, with the revision of the review in every response's `label_version`, and the
version of the labels in that of cells, fields and wells.

A field (a time point of a field) is measured whole: a cell that is erased gives its neurites to its
neighbours and its rim to their background, so nothing less gives the numbers that a run on these
labels would. In a time-lapse the field's neurons are then linked anew.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import polars as pl

from imaging_service.errors import NotFound, StoreError
from imaging_service.files import only_one, staged, write_bytes
from imaging_service.incoming.s3 import on_disk
from imaging_service.jobs.curves import other_curves, write_curves
from imaging_service.jobs.films.film import follow_again
from imaging_service.jobs.pixels.ownership import Ownership, ownership
from imaging_service.jobs.pixels.scan import camera_field
from imaging_service.jobs.records import Calibration, RunFolder, RunRecord, WellTask, load
from imaging_service.jobs.summary import TABLES, conditions_table, judge_plate
from imaging_service.review.local import review_state
from imaging_service.review.log import ReviewLog, check_cells, verdict_words
from imaging_service.review.neurites import NEURITES
from imaging_service.schemas import Verdict
from imaging_service.store import plates
from imaging_service.store.labels import read_labels
from imaging_service.store.tables import read_table, write_table
from phenotypes.cells.measure import measure, with_well
from phenotypes.columns.dictionary import INTENSITY_ROLES
from phenotypes.columns.statuses import WellStatus
from phenotypes.films.views import VIEW
from phenotypes.plates.responses import lines_to_fit, respond
from phenotypes.statistics.multiple_testing import with_q_values
from plate_maps import Well
from segmentation import Field, Segmentation
from segmentation.field import Labels
from segmentation.filters.contrast import OTHER_FLOORS
from segmentation.filters.margins import clipped

OUTSIDE = "neurites_outside_of_culture"


@dataclass(frozen=True)
class Corrected:
    """What applying the review did. `measured`: (well, field, time point)."""

    revision: int
    measured: tuple[tuple[str, int, int], ...]
    lines: tuple[str, ...]
    folder: Path


def follow(root: Path) -> int:
    """Apply the review unless the tables include its revision already; returns the revision."""
    state = review_state(root)
    return state.applied if state.applied == state.revision else apply_review(root).revision


def apply_review(root: str | PathLike[str]) -> Corrected:
    """Write RUN/corrected by the corrections and verdicts of reviewers.

    Raises NotFound for a folder that is not a run, StoreError for a run that cannot be measured
    again.
    """
    root = on_disk(Path(root))
    folder = RunFolder(root)
    if not (root / "run.json").is_file():
        raise NotFound(
            f"{root} has no run.json; give the --out folder of a finished `imaging-service analyze`"
        )
    if not folder.record.is_file() or not folder.calibration.is_file():
        raise StoreError(
            f"{root / 'work'} was deleted: without the run's record and calibration nothing can be"
            " measured again; analyse the plate again"
        )
    with only_one(folder.root):
        return _apply(folder, ReviewLog(root))


def _apply(folder: RunFolder, log: ReviewLog) -> Corrected:
    root, record, calibration = (
        folder.root,
        load(RunRecord, folder.record),
        load(Calibration, folder.calibration),
    )
    revision = log.revision()
    cells, fields = read_table(root / "cells.parquet"), read_table(root / "fields.parquet")
    measured = []
    for well, number in log.corrected():
        is_field = (pl.col("well") == well) & (pl.col("field") == number)
        field_cells, field_rows = cells.filter(is_field), fields.filter(is_field)
        owner = ownership(load(WellTask, folder.task(well)))
        for frame in log.corrected_frames(well, number):
            new_cells, new_fields = _measured(
                folder, log, record, calibration, (well, number, frame), owner
            )
            other_frames = pl.col("frame") != frame
            field_cells = pl.concat([field_cells.filter(other_frames), new_cells]).sort(
                "frame", maintain_order=True
            )
            # When and where the frame was imaged is the scan's, not the measurement's.
            placed = ["exposed_h", "time_h", "usable", *VIEW, "registration_quality"]
            placed += [f"plane_{role}" for role in INTENSITY_ROLES]
            kept = field_rows.filter(~other_frames).select(placed)
            row = new_fields.with_columns(kept[name].alias(name) for name in placed)
            field_rows = pl.concat([field_rows.filter(other_frames), row]).sort(
                "frame", maintain_order=True
            )
            measured.append((well, number, frame))
        if record.inputs.protocol.survival is not None:
            field_cells = follow_again(load(WellTask, folder.task(well)), field_cells, field_rows)
        field_cells = owner.kept(field_cells, field_rows)
        cells, fields = (
            pl.concat([cells.filter(~is_field), field_cells]),
            pl.concat([fields.filter(~is_field), field_rows]),
        )
    order = {name: i for i, name in enumerate(record.wells)}
    cells, fields = (_in_order(t, order) for t in (cells, fields))
    conditions = conditions_table(record.inputs.plate_map())
    ended = {
        w: (str(e["status"]), str(e["reason"]))
        for w, e in json.loads((root / "run.json").read_text(encoding="utf-8"))["wells"].items()
    }
    rejected_fields: dict[tuple[str, int], str] = {}
    rejected_tracks: dict[tuple[str, int, int], str] = {}
    for (well, number_of, track), verdict in log.standing().items():
        if verdict.accepted:
            continue
        if track is not None and number_of is not None:
            rejected_tracks[well, number_of, _track_now(cells, verdict) or track] = verdict_words(
                verdict
            )
        elif number_of is not None:
            rejected_fields[well, number_of] = verdict_words(verdict)
        elif ended.get(well, ("", ""))[0] == WellStatus.DONE:
            ended[well] = (WellStatus.EXCLUDED, verdict_words(verdict))
    judged = judge_plate(
        cells,
        fields,
        conditions,
        ended,
        record.inputs.protocol,
        (record.plate_format.rows, record.plate_format.columns),
        rejected_fields=rejected_fields,
        rejected_tracks=rejected_tracks,
    )
    out = root / "corrected"
    before = out if (out / "corrected.json").is_file() else root
    old_wells, old_responses = (
        read_table(before / "wells.parquet"),
        read_table(before / "responses.parquet"),
    )
    names = record.inputs.protocol.response.phenotypes
    lines = lines_to_fit(
        old_wells,
        judged.wells,
        names,
        pixel_size_um=record.pixel_size_um,
        settings=record.inputs.protocol.measurement,
    )
    responses = respond(
        judged.wells,
        names,
        pixel_size_um=record.pixel_size_um,
        lines=lines,
        settings=record.inputs.protocol.measurement,
        plate_shape=(record.plate_format.rows, record.plate_format.columns),
        provenance={
            "run_id": record.run_id,
            "plate_map_digest": record.plate_map_digest,
            "protocol_digest": record.protocol_digest,
            "label_version": revision,
            "software_version": record.software_version,
        },
    )
    kept_rows = old_responses.filter(~pl.col("line").is_in(lines)).with_columns(
        pl.lit(revision, pl.Int64).alias("label_version")
    )
    rank = {
        key: i for i, key in enumerate(old_responses.select("line", "compound", "phenotype").rows())
    }
    merged = pl.concat([kept_rows, responses.table])
    place = [
        rank.get(key, len(rank)) for key in merged.select("line", "compound", "phenotype").rows()
    ]
    table = with_q_values(merged[sorted(range(len(merged)), key=lambda i: place[i])], ["phenotype"])
    tables = {
        "cells": judged.cells,
        "fields": judged.fields,
        "wells": judged.wells,
        "quality": responses.quality,
        "responses": table,
        "checks": judged.checks,
        "tracks": judged.tracks,
        "hazards": judged.hazards,
    }
    kept_curves = other_curves(before, lines)
    summary = {"revision": revision, "measured": measured, "lines": lines}
    # All take the place of the last application's at once: without them, who reads meanwhile or
    # after a kill would take the engine's tables for reviewed ones.
    with staged(out) as scratch:
        for name in TABLES:
            write_table(tables[name], scratch / name, csv=name not in ("cells", "tracks"))
        write_curves(scratch, responses.curves, kept_curves)
        record_text = json.dumps(summary, indent=1, ensure_ascii=False)
        write_bytes(scratch / "corrected.json", record_text.encode())
    return Corrected(revision, tuple(measured), tuple(lines), out)


def _measured(
    folder: RunFolder,
    log: ReviewLog,
    record: RunRecord,
    calibration: Calibration,
    place: tuple[str, int, int],
    owner: Ownership,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cell and field tables of a corrected time point of a field.

    They are kept by version of the labels, so that each version is measured once.
    """
    name, number, frame = place
    version = log.frame_version(name, number, frame)
    stem = log.root / "measured" / name / f"{number}-{frame}-{version:04d}"
    cells, fields, graph = (
        stem.with_name(f"{stem.name}-{what}")
        for what in ("cells.parquet", "fields.parquet", "graph.npz")
    )
    if cells.is_file() and fields.is_file():
        return read_table(cells), read_table(fields)
    protocol = record.inputs.protocol
    well = Well.parse(name)
    pixels, roles, _ = plates.read_field(record.plate, well, number, frame)
    raw = camera_field(pixels, roles, record.pixel_size_um, protocol)
    engine_s = read_labels(folder.labels, well, number, frame)
    labels = log.labels(engine_s, name, number, frame=frame)
    check_cells(labels, f"well {name}, field {number}")
    field = calibration.illumination.correct(raw)
    segmentation = _on_culture(labels, field)
    if NEURITES in labels and np.array_equal(labels[NEURITES], engine_s[NEURITES]):
        segmentation = replace(segmentation, figures=_figures(folder, place))
    measured = with_well(
        measure(field, segmentation, protocol.measurement, raw, owner.of(number, field.shape)),
        name,
        number,
        frame,
        version,
    )
    if measured.graph is not None:
        stream = io.BytesIO()
        np.savez_compressed(stream, graph=measured.graph)
        write_bytes(graph, stream.getvalue())
    for table, path in ((measured.cells, cells), (measured.field, fields)):
        write_table(table, path.with_suffix(""), csv=False)
    return measured.cells, measured.field


def _figures(folder: RunFolder, place: tuple[str, int, int]) -> dict[str, float]:
    """What the engine said of the contrast of the neurites that it drew."""
    name, number, frame = place
    table = read_table(folder.root / "fields.parquet")
    known = [column for column in OTHER_FLOORS if column in table.columns]
    row = table.filter(
        (pl.col("well") == name) & (pl.col("field") == number) & (pl.col("frame") == frame)
    )
    values = row.select(known).row(0, named=True) if len(row) else {}
    return {column: value for column, value in values.items() if value is not None}


def _on_culture(labels: dict[str, Labels], field: Field) -> Segmentation:
    """A reviewer's labels, neurites on the culture only, as an engine leaves them.

    Densities are relative to the culture's area, so length beyond it would be too much.
    """
    if NEURITES not in labels:
        return Segmentation(labels, "reviewer")
    kept = clipped(labels[NEURITES], field)
    lost = int((labels[NEURITES] > 0).sum() - (kept > 0).sum())
    notes = (
        f"{OUTSIDE}: {lost * field.pixel_size_um**2:.0f} µm² of neurites that a reviewer drew lie"
        " outside of the culture and were not measured",
    )
    return Segmentation({**labels, NEURITES: kept}, "reviewer", warnings=notes if lost else ())


def _track_now(cells: pl.DataFrame, verdict: Verdict) -> int | None:
    """The number that a rejected track has now.

    Corrections link a field's neurons anew; the cell that the reviewer pointed at identifies the
    track. Raises StoreError where that cell is gone: to reject another track would be a guess.
    """
    if verdict.frame is None or verdict.label is None:
        return None
    keys = {
        "well": verdict.well,
        "field": verdict.field,
        "frame": verdict.frame,
        "label": verdict.label,
    }
    tracks = cells.filter(pl.all_horizontal(pl.col(name) == value for name, value in keys.items()))[
        "track"
    ].drop_nulls()
    if tracks.is_empty():
        raise StoreError(
            f"well {verdict.well}, field {verdict.field}: track {verdict.track} was rejected at"
            f" cell {verdict.label} of time point {verdict.frame}, which a later correction"
            " removed; accept that track, or reject it again where it is now"
        )
    return int(tracks[0])


def _in_order(table: pl.DataFrame, order: Mapping[str, int]) -> pl.DataFrame:
    """Rows by well in the run's order, field, frame; the order within a field stays."""
    place = pl.col("well").replace_strict(dict(order), return_dtype=pl.Int64)
    return table.sort(place, "field", "frame", maintain_order=True)
