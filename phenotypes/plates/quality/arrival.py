"""How the images of a plate look before anything is segmented: one row per image, per channel.

An image is judged by what any image shows (a blank one, a clipped one) and beside the others of its
channel (focus, cells). Levels that no rule can judge, as a background that a stain may well have,
are given as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from scipy import stats

from phenotypes.cells.compression import has_jpeg_blocks
from phenotypes.cells.image_quality import focus_slope, saturated, unevenness
from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.columns.statuses import ImageStatus
from phenotypes.plates.quality.checks import BLURRED_SLOPE
from segmentation.field import Field, Image
from segmentation.filters.background import background_level, estimate_illumination, noise_level
from segmentation.filters.exposure import shows_cells
from segmentation.filters.flat_field import depth, residual_depths

Row = dict[str, object]

# Images with cells that focus is compared among; with fewer, none is called out of focus.
LEAST_SHARP = 5
# Drift is a line through the times of exposure of at least this many images.
_LEAST_TIMED = 8


def measure_image(image: Image, pixel_size_um: float | None) -> Row:
    """Background, noise, saturation, focus, unevenness, and whether it shows cells.

    `image` (Y, X) is a channel of a field as the camera saw it. A blank image has no numbers but
    its background.
    """
    if not np.isfinite(image).all():
        return {"status": ImageStatus.UNREADABLE, "reason": "pixels are not finite"}
    if image.min() == image.max():
        value = float(image.flat[0])
        return {
            "status": ImageStatus.BLANK,
            "reason": f"all pixels have the value {value:g}",
            "background": value,
        }
    noise = noise_level(image)
    lossy = {
        "status": ImageStatus.COMPRESSED,
        "reason": "it shows the blocks of a JPEG; export the images without loss (TIFF)",
    }
    return {
        **(lossy if has_jpeg_blocks(image) else {}),
        "background": background_level(image),
        "noise": noise,
        "saturated": saturated(image),
        "focus": focus_slope(image),
        "uneven": unevenness(image, noise),
        "shows_cells": None if pixel_size_um is None else shows_cells(image, pixel_size_um),
    }


def judge_images(rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """The table of images with their status, sorted by well, field and channel.

    `rows` are those of `measure_image` with well, field, channel and exposed_h; a row that has a
    status keeps it.
    """
    if not rows:
        return empty_table("image")
    names = dict.fromkeys(name for row in rows for name in row)
    table = conform(
        pl.DataFrame([{n: row.get(n) for n in names} for row in rows], infer_schema_length=None),
        "image",
    )
    judged = []
    for part in table.partition_by("channel", maintain_order=True):
        cells = part.filter(pl.col("shows_cells"))
        sharp = cells["focus"].drop_nulls()
        least = (
            float(np.percentile(sharp.to_numpy(), 75)) - BLURRED_SLOPE
            if len(sharp) >= LEAST_SHARP
            else -np.inf
        )
        most_show = len(cells) > part["shows_cells"].count() / 2
        blurred = pl.col("shows_cells") & (pl.col("focus") < least)
        judged.append(
            part.with_columns(
                pl.when(pl.col("status").is_not_null())
                .then(pl.struct("status", "reason"))
                .when(pl.col("saturated") > 0)
                .then(
                    _verdict(
                        ImageStatus.CLIPPED,
                        pl.format(
                            "{} % of the pixels hold the highest value",
                            (100 * pl.col("saturated")).round(3),
                        ),
                    )
                )
                .when(blurred)
                .then(
                    _verdict(
                        ImageStatus.OUT_OF_FOCUS,
                        pl.format(
                            "focus slope {}, sharper images of the channel "
                            f"{least + BLURRED_SLOPE:.2f}",
                            pl.col("focus").round(2),
                        ),
                    )
                )
                .when(~pl.col("shows_cells") & most_show)
                .then(
                    _verdict(
                        ImageStatus.NO_CELLS,
                        pl.lit(f"{len(cells)} of {len(part)} images of the channel show cells"),
                    )
                )
                .otherwise(_verdict(ImageStatus.OK, pl.lit("")))
                .alias("_verdict")
            )
            .drop("status", "reason")
            .unnest("_verdict")
        )
    return conform(pl.concat(judged), "image").sort(
        # Well names sort as text by letters and two digits; AA follows Z.
        pl.col("well").str.len_chars(),
        "well",
        "field",
        "channel",
        maintain_order=True,
    )


def _verdict(status: ImageStatus, reason: pl.Expr) -> pl.Expr:
    return pl.struct(pl.lit(status.value).alias("status"), reason.alias("reason"))


def channel_table(
    images: pl.DataFrame, spread: Mapping[str, Sequence[Image]], pixel_size_um: float | None
) -> pl.DataFrame:
    """One row per channel: its levels, their drift, and its illumination.

    Parameters
    ----------
    images
        What `judge_images` gives.
    spread
        Channel ► whole images (Y, X) from all over the plate, from which the illumination is
        estimated.
    pixel_size_um
        None where it is not known.
    """
    rows = []
    for part in images.partition_by("channel", maintain_order=True):
        name = part["channel"][0]
        read = part.filter(pl.col("background").is_not_null())
        cells = part.filter(pl.col("shows_cells"))
        rows.append(
            {
                "channel": name,
                "images": len(part),
                "not_ok": int((part["status"] != ImageStatus.OK).sum()),
                "with_cells": None if pixel_size_um is None else len(cells),
                "background": read["background"].median(),
                "background_low": read["background"].min(),
                "background_high": read["background"].max(),
                **_drift("background", read),
                "focus": cells["focus"].median(),
                **_drift("focus", cells),
                **_illumination(spread.get(name, ())),
            }
        )
    return conform(pl.DataFrame(rows, infer_schema_length=None), "channel").sort("channel")


def _drift(name: str, part: pl.DataFrame) -> Row:
    """Change over the whole time of imaging, and its 95 % interval."""
    timed = part.drop_nulls([name, "exposed_h"])
    hours = timed["exposed_h"].to_numpy()
    if len(timed) < _LEAST_TIMED or hours.min() == hours.max():
        return {}
    line = stats.theilslopes(timed[name].to_numpy(), hours)
    span = float(np.ptp(hours))
    keys = (f"{name}_drift", f"{name}_drift_low", f"{name}_drift_high")
    values = (line.slope, line.low_slope, line.high_slope)
    return {key: float(value) * span for key, value in zip(keys, values, strict=True)}


def _illumination(planes: Sequence[Image]) -> Row:
    if not planes:
        return {"profile_depth": 1.0, "profile_note": "no image could be read"}
    # A size of 1 µm enters nothing here: the profile is of pixels.
    fields = [Field(p[None], (None,), 1.0) for p in planes if p.shape == planes[0].shape]
    estimated = estimate_illumination(fields)
    return {
        "profile_depth": depth(estimated, 0, fields[0].shape),
        "profile_note": estimated.reasons[0],
        "profile_residual": residual_depths(fields)[0],
    }
