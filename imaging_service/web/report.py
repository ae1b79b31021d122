"""`report.html`: one self-contained file that a scientist can send."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from imaging_service.web import charts
from imaging_service.web.findings import by_evidence, findings
from imaging_service.web.light import LIGHT, OUTLINES, outlines
from imaging_service.web.pages.drawn_plate import contents_plate
from imaging_service.web.pages.films import no_survival, survival_sentences
from imaging_service.web.pages.wells import NO_DNA
from imaging_service.web.scan_report import ScanFindings
from imaging_service.web.specifications.curves import curve_row, dose_response
from imaging_service.web.templating import environment, number
from phenotypes.columns.statuses import ResponseStatus, WellStatus
from plate_maps import PlateFormat
from segmentation.filters.contrast import OTHER_FLOORS

if TYPE_CHECKING:
    from phenotypes.plates.responses import Responses

_THUMBNAIL_PX = 420


@dataclass(frozen=True)
class Thumbnail:
    """Pixels and labels of one field to be shown."""

    well: str
    caption: str
    pixels: NDArray[np.generic]
    roles: tuple[str | None, ...]
    labels: Mapping[str, NDArray[np.int32]]
    pixel_size_um: float


@dataclass(frozen=True)
class FloorExample:
    """A field's neurite channel (Y, X), and what the contrast floor kept and dropped of it.

    `ratio` is the neurite length without a floor, relative to the length that was measured.
    """

    well: str
    field: int
    neurite: NDArray[np.generic]
    kept: NDArray[np.bool_]
    dropped: NDArray[np.bool_]
    ratio: float
    pixel_size_um: float


@dataclass(frozen=True)
class ReportContent:
    """Everything that the report shows."""

    title: str
    record: Mapping[str, Any]
    calibration: Mapping[str, Any]
    plate_format: PlateFormat
    wells: pl.DataFrame
    fields: pl.DataFrame
    responses: Responses
    checks: pl.DataFrame
    hazards: pl.DataFrame
    tracks: pl.DataFrame
    thumbnails: list[Thumbnail] = field(default_factory=list)
    worst: list[Thumbnail] = field(default_factory=list)
    scan: ScanFindings = field(default_factory=ScanFindings)
    floor_examples: list[FloorExample] = field(default_factory=list)
    no_floor_examples: str = ""


def render_report(content: ReportContent) -> str:
    """The report as HTML. Same content, same bytes."""
    heatmaps = [
        charts.plate_heatmap(content.wells, name, content.plate_format)
        for name in (
            dict.fromkeys(content.responses.table["phenotype"])
            or content.record["inputs"]["protocol"]["response"]["phenotypes"]
        )
        if content.wells[name].null_count() < len(content.wells)
    ]
    curves = _ranked_curves(content.responses)
    limits = _contrast(content.thumbnails or content.worst)
    refused = content.responses.table.filter(
        ~pl.col("status").is_in([ResponseStatus.OK, ResponseStatus.FLAT])
    )
    unusable = content.wells.filter(pl.col("status") != WellStatus.DONE)
    rows = content.responses.table.to_dicts()
    survival = _survival(content.hazards.to_dicts(), content.tracks)
    wells = content.wells.select(_OF_A_WELL).to_dicts()
    return (
        environment()
        .get_template("report.html")
        .render(
            title=content.title,
            record=content.record,
            calibration=content.calibration,
            counts={s: int((content.wells["status"] == s).sum()) for s in sorted(WellStatus)},
            n_cells=int(content.wells["nuclei_count"].sum() or 0),
            n_followed=int(content.tracks["included"].sum() or 0),
            rows=rows,
            findings=findings(
                rows, wells, content.checks.to_dicts(), content.record.get("accuracy")
            ),
            contents=contents_plate(wells, content.plate_format),
            refused=refused.to_dicts(),
            unusable=unusable.to_dicts(),
            quality=content.responses.quality.to_dicts(),
            checks=content.checks.to_dicts(),
            scan=content.scan,
            floors=_floors(content.wells),
            floor_examples=[_floor_figure(e) for e in content.floor_examples],
            no_floor_examples=content.no_floor_examples,
            hazards=content.hazards.to_dicts(),
            is_film=bool(content.record["inputs"]["protocol"]["survival"]),
            survival=survival,
            survival_sentences=survival_sentences(content.hazards.to_dicts()),
            no_survival=no_survival(content.tracks, len(survival), content.checks.to_dicts()),
            too_coarse=_too_coarse(content.fields),
            warned=content.fields.with_columns(
                pl.col("warnings")
                .str.replace(_COARSE, "")
                .str.replace(NO_DNA, "")
                .str.strip_chars("; ")
                .alias("warnings")
            )
            .filter((pl.col("warnings") != "") | (pl.col("qc") != ""))
            .select(
                "well",
                "field",
                "frame",
                pl.concat_str(
                    pl.col("qc", "warnings").replace("", None), separator="; ", ignore_nulls=True
                ).alias("warnings"),
            )
            .to_dicts(),
            field_quality=_field_quality(content.fields, content.record["roles"]),
            thumbnails=_shown(content.thumbnails, limits),
            worst=_shown(content.worst, limits),
            # "</" would end the script element early; JSON may escape the slash.
            specs=json.dumps(
                {
                    "heatmap": heatmaps,
                    "curve": curves,
                    "survival": [figure.pop("spec") for figure in survival],
                },
                separators=(",", ":"),
            ).replace("</", "<\\/"),
            n_heatmaps=len(heatmaps),
            n_curves=len(curves),
            script=charts.page_script().replace("</script", "<\\/script"),
        )
    )


def _survival(hazards: list[dict[str, Any]], tracks: pl.DataFrame) -> list[dict[str, Any]]:
    """Survival of each line and compound that has a curve, the strongest evidence first."""
    if tracks.is_empty():
        return []
    # Only a film's report needs what computes it.
    from imaging_service.web.specifications.survival import (
        arms_of,
        pairs_by_evidence,
        survival_chart,
    )

    figures = []
    for line, compound in pairs_by_evidence(hazards):
        arms = arms_of(tracks, line, compound)
        if spec := survival_chart(arms, line, compound):
            figures.append({"spec": spec, "arms": arms, "name": f"{compound} on {line}"})
    return figures


# Columns that say what is in a well and what became of it.
_OF_A_WELL = ("well", "line", "compound", "dose_molar", "control", "status", "reason")


def _ranked_curves(responses: Responses) -> list[charts.Spec]:
    """One chart per compound and phenotype, that of the strongest evidence first."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for curve in responses.curves:
        if curve.result.model or curve.response:
            groups.setdefault((curve.phenotype, curve.compound), []).append(curve_row(curve))
    rows = by_evidence(responses.table.to_dicts())
    lines = sorted({c.line for c in responses.curves})
    ranked = dict.fromkeys((r["phenotype"], r["compound"]) for r in rows)
    specs = []
    for key in (k for k in ranked if k in groups):
        intervals = {
            r["line"]: (r["ec50_low"], r["ec50_high"])
            for r in rows
            if (r["phenotype"], r["compound"]) == key
        }
        if spec := dose_response(groups[key], lines, intervals):
            specs.append(spec)
    return specs


# One sentence for the plate instead of one per field: all pixels have the same size.
_COARSE = r"pixel_size_too_coarse \([^)]*\) for [^;]*"


def _floors(wells: pl.DataFrame) -> list[dict[str, Any]]:
    """Per line and arm, the neurite length that other contrast floors would give, relative to ours.

    A mean over wells weighted by their length, as the sum of the lengths would be.
    """
    known = wells.filter(
        (pl.col("status") == WellStatus.DONE)
        & pl.all_horizontal(pl.col(name).is_not_null() for name in OTHER_FLOORS)
        & (pl.col("neurite_length_total") > 0)
    )
    length = pl.col("neurite_length_total")
    arm = pl.when(pl.col("control") == "vehicle").then(pl.lit("vehicle")).otherwise(pl.lit("other"))
    return (
        known.with_columns(arm.alias("arm"))
        .group_by("line", "arm")
        .agg(
            pl.len().alias("wells"),
            *((pl.col(name) * length).sum() / length.sum() for name in OTHER_FLOORS),
        )
        .sort("line", pl.col("arm") != "vehicle")
        .to_dicts()
    )


def _too_coarse(fields: pl.DataFrame) -> list[str]:
    return (
        fields["warnings"]
        .str.extract(f"({_COARSE})")
        .drop_nulls()
        .unique(maintain_order=True)
        .to_list()
    )


def _field_quality(fields: pl.DataFrame, roles: list[str | None]) -> list[dict[str, Any]]:
    """Background, focus and saturation per channel over fields, with the worst wells."""
    rows = []
    for role in (r for r in roles if r):
        if fields.is_empty():
            continue
        blurred = fields.sort(f"focus_{role}", "well")
        saturated = fields.filter(pl.col(f"saturated_{role}") > 0.001)
        rows.append(
            {
                "role": role,
                "background": fields[f"background_{role}"].median(),
                "focus": fields[f"focus_{role}"].median(),
                "blurred": ", ".join(
                    f"{w} ({number(f)})"
                    for w, f in blurred.select("well", f"focus_{role}").head(3).iter_rows()
                ),
                "saturated": len(saturated),
                "saturated_wells": ", ".join(saturated["well"].unique().sort()[:8]),
            }
        )
    return rows


def _shown(
    thumbnails: list[Thumbnail], limits: Mapping[str, tuple[float, float]]
) -> list[dict[str, str]]:
    drawn = (base64.b64encode(draw_thumbnail(t, limits)).decode() for t in thumbnails)
    return [
        {"well": t.well, "caption": t.caption, "image": f"data:image/jpeg;base64,{d}"}
        for t, d in zip(thumbnails, drawn, strict=True)
    ]


def _contrast(thumbnails: list[Thumbnail]) -> dict[str, tuple[float, float]]:
    """One display range per role for all thumbnails: brightness must be comparable by eye."""
    limits: dict[str, tuple[float, float]] = {}
    if not thumbnails:
        return limits
    for i, role in enumerate(thumbnails[0].roles):
        if role is not None:
            pooled = np.concatenate([t.pixels[i][::8, ::8].ravel() for t in thumbnails]).astype(
                float
            )
            low, high = np.percentile(pooled, [5, 99.7])
            limits[role] = (float(low), float(max(high, low + 1)))
    return limits


def draw_thumbnail(t: Thumbnail, limits: Mapping[str, tuple[float, float]]) -> bytes:
    """JPEG of the field's middle at camera resolution, with a 50 µm bar.

    Raw colours on the left, the same with outlines on the right.
    """
    height, width = t.pixels.shape[1:]
    side = min(height, width, _THUMBNAIL_PX)
    window = np.s_[
        (height - side) // 2 : (height + side) // 2, (width - side) // 2 : (width + side) // 2
    ]
    image = np.zeros((side, side, 3), np.float32)
    for i, role in enumerate(t.roles):
        if role is not None:
            low, high = limits[role]
            plane = np.clip((t.pixels[i][window].astype(np.float32) - low) / (high - low), 0, 1)
            image += plane[..., None] * np.array(LIGHT[role], np.float32)
    raw = (np.clip(image, 0, 1) * 255).astype(np.uint8)
    marked = (raw * 0.75).astype(np.uint8)
    for name, colour in OUTLINES.items():
        if name in t.labels:
            marked[outlines(t.labels[name][window])] = colour
    bar = round(50 / t.pixel_size_um)
    cv2.rectangle(raw, (10, side - 16), (10 + bar, side - 12), (255, 255, 255), cv2.FILLED)
    both = np.hstack([raw, np.full((side, 4, 3), 255, np.uint8), marked])
    _, encoded = cv2.imencode(".jpg", both, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return encoded.tobytes()


# Blue and orange of the charts, which people with red-green blindness tell apart, BGR.
_KEPT, _DROPPED = (233, 180, 86), (0, 159, 230)


def _floor_figure(example: FloorExample) -> dict[str, str]:
    image = base64.b64encode(draw_floor(example)).decode()
    return {
        "well": example.well,
        "field": str(example.field),
        "ratio": number(example.ratio),
        "image": f"data:image/jpeg;base64,{image}",
    }


def draw_floor(example: FloorExample) -> bytes:
    """JPEG of the field's middle: its neurite channel, and beside it what was kept and dropped."""
    height, width = example.neurite.shape
    side = min(height, width, _THUMBNAIL_PX)
    y, x = (height - side) // 2, (width - side) // 2
    window = np.s_[y : y + side, x : x + side]
    plane = example.neurite.astype(np.float32)
    low, high = np.percentile(plane[::4, ::4], [5, 99.7])
    light = np.clip((plane[window] - low) / max(float(high - low), 1.0), 0, 1)
    raw = np.repeat((light * 255).astype(np.uint8)[..., None], 3, axis=2)
    marked = (raw * 0.6).astype(np.uint8)
    marked[outlines(example.kept[window].astype(np.int32))] = _KEPT
    # Filled, as it is thin and what one looks for.
    marked[example.dropped[window]] = _DROPPED
    bar = round(50 / example.pixel_size_um)
    cv2.rectangle(raw, (10, side - 16), (10 + bar, side - 12), (255, 255, 255), cv2.FILLED)
    both = np.hstack([raw, np.full((side, 4, 3), 255, np.uint8), marked])
    return cv2.imencode(".jpg", both, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
