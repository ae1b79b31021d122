"""What counts for which field of a well whose fields overlap (`phenotypes.cells.ownership`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from imaging_service.errors import ImageError
from imaging_service.ingest.optics.overlaps import overlapping_centres
from imaging_service.jobs.pixels.scan import stored_fields
from imaging_service.jobs.records import WellTask
from imaging_service.store import plates
from phenotypes.cells.ownership import Centre, other_way, overlap_share, owned_cells, owned_pixels
from phenotypes.films.views import VIEW, to_first
from plate_maps import Well
from segmentation.field import Mask


@dataclass(frozen=True)
class Ownership:
    """Centres of a well's fields as they are stored, in pixels, and the size of a pixel in µm.

    There are centres only where fields overlap; elsewhere every field owns all that it shows.
    """

    centres: Mapping[int, Centre]
    pixel_size_um: float

    def of(self, number: int, shape: tuple[int, int]) -> Mask | None:
        """Pixels (Y, X) that count for a field; None for all."""
        return owned_pixels(shape, self.centres, number)

    def kept(self, cells: pl.DataFrame, fields: pl.DataFrame) -> pl.DataFrame:
        """The cells that belong to the field that they were measured in; all where none overlap.

        A neuron of a film belongs, with all its time points, to the field that owns its first
        place: it does not change over where it moves or the stage drifts.

        Parameters
        ----------
        cells, fields
            Tables of one well; fields with `height_um`, `width_um` and, of a film, the drift of
            every time point.
        """
        parts = []
        for part in cells.partition_by("field", maintain_order=True):
            number = int(part["field"][0])
            frames = fields.filter(pl.col("field") == number)
            size = (float(frames["height_um"][0]), float(frames["width_um"][0]))
            shape = tuple(round(side / self.pixel_size_um) for side in size)
            owned = self.of(number, (shape[0], shape[1]))
            if owned is not None:
                places = _first_places(part, frames, size)
                part = part.filter(pl.Series(owned_cells(places, owned, self.pixel_size_um)))
            parts.append(part)
        return pl.concat(parts) if parts else cells


def ownership(task: WellTask) -> Ownership:
    """The well's ownership by the positions in its scan; fields are numbered as they are stored."""
    stored = {number: place for place, number in enumerate(stored_fields(task.plan), start=1)}
    placed = overlapping_centres(task.plan, task.pixel_size_um)
    centres = {stored[field]: centre for well, field, centre in placed if well == task.well}
    return Ownership(centres, task.pixel_size_um)


def refuse_other_stage(task: WellTask, owner: Ownership) -> None:
    """Compare the images where fields overlap most across and along with what positions say.

    Raises ImageError where they clearly show another arrangement: a stage whose axes point
    otherwise would have cells counted twice, and others never.
    """
    if not owner.centres:
        return
    well, channel = Well.parse(task.well), _compared(task)
    first = plates.read_field(task.plate, well, min(owner.centres))[0][channel]
    for one, other in _pairs(owner.centres, (first.shape[0], first.shape[1])):
        images = [plates.read_field(task.plate, well, n)[0][channel] for n in (one, other)]
        stated = _offset(owner.centres, one, other)
        shown = other_way(images[0], images[1], stated, task.pixel_size_um)
        if shown is not None:
            raise ImageError(
                f"well {task.well}: by the positions of the stage, field {other} lies"
                f" {_words(stated, task.pixel_size_um)} of field {one}, by the images"
                f" {_words(shown, task.pixel_size_um)}: cells in the overlap would be counted"
                " twice or not at all; correct the positions in the scan"
            )


def _compared(task: WellTask) -> int:
    """Index of the channel by which fields are compared: nuclei where there are any."""
    roles = [role for role in ("dna", "neurite") if role in task.roles]
    return task.roles.index(roles[0]) if roles else 0


def _pairs(placed: Mapping[int, Centre], shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Of the pairs that overlap, the most overlapping one across and the one along."""
    best: dict[bool, tuple[float, int, int]] = {}
    numbers = sorted(placed)
    for n, one in enumerate(numbers):
        for other in numbers[n + 1 :]:
            share = overlap_share(placed[one], placed[other], shape)
            down, right = _offset(placed, one, other)
            across = abs(right) >= abs(down)
            if share > best.get(across, (0.0, 0, 0))[0]:
                best[across] = (share, one, other)
    return [(one, other) for _, one, other in best.values()]


def _offset(placed: Mapping[int, Centre], one: int, other: int) -> Centre:
    return placed[other][0] - placed[one][0], placed[other][1] - placed[one][1]


def _words(offset: Centre, pixel_um: float) -> str:
    down, right = (n * pixel_um for n in offset)
    along = f"{abs(down):.0f} µm {'down' if down > 0 else 'up'}"
    across = f"{abs(right):.0f} µm to the {'right' if right > 0 else 'left'}"
    return f"{along} and {across}"


def _first_places(
    cells: pl.DataFrame, frames: pl.DataFrame, size_um: tuple[float, float]
) -> pl.DataFrame:
    """y_um and x_um by which each cell belongs to a field: its track's first one, as registered."""
    places = cells.select("y_um", "x_um", "track", "frame").with_row_index("row")
    if places["track"].null_count() == len(places):
        return places
    drift = [pl.col(name).fill_null(0.0).fill_nan(0.0) for name in VIEW]
    registered = to_first(
        places.join(frames.select("frame", *drift), on="frame", how="left"), size_um
    ).sort("row")
    first = pl.struct("y_um", "x_um").sort_by("frame").first().over("track")
    # A cell without a track stands for itself.
    return (
        registered.with_columns(pl.when(pl.col("track").is_not_null()).then(first).alias("first"))
        .with_columns(
            pl.coalesce(pl.col("first").struct.field(name), pl.col(name)).alias(name)
            for name in ("y_um", "x_um")
        )
        .select("y_um", "x_um")
    )
