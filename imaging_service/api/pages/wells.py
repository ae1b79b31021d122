"""A well: its fields with outlines, its values beside vehicle, its place on the curves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path, Query, Response
from fastapi.responses import HTMLResponse

from imaging_service.access.roles import Role
from imaging_service.api.access import CallerDep
from imaging_service.api.pages.page import page_router, show
from imaging_service.api.pages.reading import Reading, ReadingDep
from imaging_service.errors import NotFound
from imaging_service.review.field_image import Window
from imaging_service.review.local import LocalRun, cell_rows
from imaging_service.web.pages.wells import (
    beside_vehicle,
    field_rows,
    grouped_warnings,
    measured_values,
    neighbours,
)
from imaging_service.web.specifications.registry import Choice, chart

if TYPE_CHECKING:
    from imaging_service.web.pages.films import Ended
    from imaging_service.web.pages.pixels import Limits

router = page_router()
FieldQuery = Annotated[int, Query(ge=1, le=100_000)]
Number = Annotated[int, Path(ge=0, le=1_000_000)]
WellName = Annotated[str, Path(max_length=8)]
FieldPath = Annotated[int, Path(ge=1, le=100_000)]
FrameQuery = Annotated[int, Query(ge=1, le=100_000)]


@router.get("/view/{run}/wells/{well}")
def view_well(
    reading: ReadingDep,
    caller: CallerDep,
    well: WellName,
    field: FieldQuery = 1,
    frame: FrameQuery = 1,
    track: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> HTMLResponse:
    """One well of a run, at one of its fields; a field or frame beyond the last is the last.

    `track` is the number of a neuron of a film to be pointed at.
    """
    wells = reading.table("wells")
    row = _row(reading, wells, well)
    count = int(row["n_fields"] or 0)
    field = min(field, count) or 1
    shown = _shown(reading, well, field, frame) if count else None
    frame = shown["frame"] if shown else 1
    fields = field_rows(_fields(reading.local, well)) if count else []
    return show(
        "well.html",
        title=f"{reading.run.plate_name}, well {well}",
        tab="plate",
        reading=reading,
        run=reading.run,
        well=row,
        field=field,
        frame=frame,
        count=count,
        operates=caller.roles[reading.row.project_id].includes(Role.OPERATOR),
        damaged=reading.damaged([] if shown else [well]),
        shown=shown,
        values=beside_vehicle(row, wells, reading.phenotypes, reading.measurement),
        everything=measured_values(row, "well"),
        fields=fields,
        warnings=grouped_warnings(fields),
        track=track,
        ended=_ended(reading, well, field, shown) if shown and shown["frames"] > 1 else [],
        before_after=neighbours(wells, well),
        curves=_curves(reading, row),
        verdicts=[v for v in reading.local.review.verdicts() if v.well == well],
    )


@router.get("/view/{run}/wells/{well}/fields/{field}/{layer}/{level}/{row}/{column}.png")
def get_tile(
    reading: ReadingDep,
    well: WellName,
    field: FieldPath,
    layer: Annotated[str, Path(max_length=40)],
    level: Number,
    row: Number,
    column: Number,
    frame: FrameQuery = 1,
    channels: Annotated[str, Query(max_length=100, pattern=r"^[0-9,]*$")] = "",
) -> Response:
    """A tile of the field's pixels (`layer` is "pixels"), or of a compartment's outlines."""
    from imaging_service.web.pages import pixels

    run = _known(reading, well, field)
    place = (level, row, column)
    if layer == "pixels":
        stored = run.read_pixels(well, field)
        wanted = [int(c) for c in channels.split(",") if c] or list(range(len(stored.roles)))
        if max(wanted) >= len(stored.roles):
            raise NotFound(f"the plate has {len(stored.roles)} channels, counted from 0")
        limits = _contrast(run)
        png = pixels.pixel_tile(stored.levels, stored.roles, wanted, limits, place, frame)
    else:
        png = pixels.outline_tile(run, well, field, layer, place, frame)
    # The address names the label version and the run: what it gives does not change.
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


@router.get("/view/{run}/wells/{well}/fields/{field}/cell")
def view_cell(
    reading: ReadingDep,
    well: WellName,
    field: FieldPath,
    y: Annotated[int, Query(ge=0)],
    x: Annotated[int, Query(ge=0)],
    frame: FrameQuery = 1,
) -> HTMLResponse:
    """The row of the cell at a pixel, to be put into the well's page."""
    run = _known(reading, well, field)
    height, width = run.read_pixels(well, field).levels[0].shape[-2:]
    if y >= height or x >= width:
        raise NotFound(f"the field has {height} × {width} pixels")
    labels = run.read_field(well, field, frame, Window(y, x, 1, 1)).labels
    labels_there = {name: int(image[0, 0]) for name, image in labels.items() if image[0, 0]}
    label = labels_there.get("nuclei") or labels_there.get("somas")
    rows = cell_rows(run.file("cells.parquet"), well, field) if label else []
    row = next((r for r in rows if (r["label"], r["frame"]) == (label, frame)), None)
    return show(
        "cell.html",
        label=label,
        at=labels_there,
        y=y,
        x=x,
        cell=row,
        values=measured_values(row, "cell", ("well", "field")) if row else [],
        api=f"/runs/{reading.row.id}/cells?well={well}&field={field}",
    )


def _row(reading: Reading, wells: list[dict[str, Any]], well: str) -> dict[str, Any]:
    for row in wells:
        if row["well"] == well:
            return row
    raise NotFound(
        f"the plate map of run {reading.row.id[:12]} has no well {well}; choose one on the plate"
    )


def _known(reading: Reading, well: str, field: int) -> LocalRun:
    """The run's folder. Raises NotFound for a field that was not analysed.

    A well's name becomes a folder's, so it must be one of the run's.
    """
    run = reading.local
    if run.record["wells"].get(well, {}).get("status") != "done":
        raise NotFound(f"well {well} was not analysed in this run")
    if field not in _field_numbers(run, well):
        raise NotFound(f"well {well} has no field {field}")
    return run


@lru_cache(maxsize=4096)
def _field_numbers(run: LocalRun, well: str) -> frozenset[int]:
    return frozenset(f["field"] for f in _fields(run, well))


@lru_cache(maxsize=64)
def _contrast(run: LocalRun) -> Limits:
    from imaging_service.web.pages import pixels

    return pixels.plate_contrast(run)


def _fields(run: LocalRun, well: str) -> list[dict[str, Any]]:
    """Rows of the field table of a well."""
    import polars as pl

    path = run.file("fields.parquet")
    return pl.scan_parquet(path).filter(pl.col("well") == well).collect().to_dicts()


def _shown(reading: Reading, well: str, field: int, frame: int) -> dict[str, Any]:
    """The field to be drawn: size, levels, channels with colour and contrast, label versions."""
    from imaging_service.web.pages import pixels

    run = reading.local
    stored = run.read_pixels(well, field)
    height, width = stored.levels[0].shape[-2:]
    frames = int(stored.levels[0].shape[0]) if len(stored.levels[0].shape) == 4 else 1
    limits = _contrast(run)
    version = run.label_version(well, field)
    compartments = list(run.label_levels(well, field))
    return {
        "base": f"{reading.well_page(well)}/fields/{field}",
        "height": int(height),
        "width": int(width),
        "levels": len(stored.levels),
        "tile": pixels.TILE,
        "frames": frames,
        "frame": min(frame, frames),
        "hours": stored.hours,
        "pixel_size_um": stored.pixel_size_um,
        "channels": [
            {"number": i, "label": label, "role": role, "low": low, "high": high}
            for i, (label, role, (low, high)) in enumerate(
                zip(stored.channels, stored.roles, limits, strict=True)
            )
        ],
        "compartments": compartments,
        "version": version,
        "history": run.review.history(well, field),
    }


def _ended(reading: Reading, well: str, field: int, shown: Mapping[str, Any]) -> list[Ended]:
    """Neurons of a film's field that died or were lost; none in a scan that was not followed."""
    import polars as pl

    from imaging_service.web.pages.films import ended_tracks

    tracks = reading.tracks
    if tracks is None or tracks.is_empty():
        return []
    here = (pl.col("well") == well) & (pl.col("field") == field)
    run = reading.local
    cells = pl.scan_parquet(run.file("cells.parquet")).filter(here)
    return ended_tracks(
        tracks.filter(here),
        cells.select("track", "frame", "y_um", "x_um").collect(),
        pl.scan_parquet(run.file("fields.parquet")).filter(here).collect(),
        shown["pixel_size_um"],
    )


def _curves(reading: Reading, well: dict[str, Any]) -> list[dict[str, Any]]:
    """Charts of the curves that a treated well is a point of, and their addresses."""
    if not well["compound"] or not well["dose_molar"]:
        return []
    tables = reading.tables(curves=True)
    drawn = []
    for name in reading.phenotypes:
        of = {"line": well["line"], "compound": well["compound"], "phenotype": name}
        points = next((c for c in tables.curves if all(c[k] == v for k, v in of.items())), None)
        if points is None or well["well"] not in points["wells"]:
            continue
        drawn.append(
            {
                "spec": chart(
                    "curve",
                    tables,
                    Choice(**of, well=well["well"], well_page=reading.well_page),
                ),
                "name": f"{name} of {well['compound']} on {well['line']}",
                **of,
            }
        )
    return drawn
