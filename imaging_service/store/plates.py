"""OME-Zarr 0.5 plates and labels on zarr v3.

Each array is written with one shard per plane, inner chunks of at most 1024², empty chunks included
and a CRC32C at the end of the codec chain (`shards.py`). Without the last two zarr reads a lost
chunk as zeros and a flipped bit as a number; with them the audit (`nchunks_initialized == nchunks`)
and the checksum say so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import zarr
from numpy.typing import NDArray

from imaging_service.errors import StoreError, damaged
from imaging_service.review.field_image import audit
from imaging_service.store.shards import create_array
from plate_maps import PlateFormat, Well
from plate_maps.wells import row_letters

VERSION = "0.5"
# Group of a plate that keeps the light, by run.
_LIGHT = "illumination"
_SMALLEST = 256
_COLOURS = {
    "dna": "4363FF",
    "neurite": "30D158",
    "identity": "FFD60A",
    "aggregate": "FF375F",
    "granule": "BF5AF2",
    "envelope": "64D2FF",
    "death": "FFFFFF",
}
_AXES = (
    {"name": "t", "type": "time", "unit": "hour"},
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
)


def _axes(names: str) -> list[dict[str, str]]:
    return [axis for axis in _AXES if axis["name"] in names]


def levels_of(pixels: NDArray[np.generic], labels: bool) -> list[NDArray[np.generic]]:
    """The image halved until its longer side is at most 256 px.

    Labels are halved by nearest pixel, intensities by area mean.
    """
    levels = [pixels]
    while max(levels[-1].shape[-2:]) > _SMALLEST:
        last = levels[-1]
        if labels:
            levels.append(np.ascontiguousarray(last[..., ::2, ::2]))
            continue
        height, width = (max(1, n // 2 + n % 2) for n in last.shape[-2:])
        planes = last.reshape(-1, *last.shape[-2:])
        halved = np.stack(
            [cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in planes]
        )
        levels.append(halved.reshape(*last.shape[:-2], height, width))
    return levels


def multiscales(
    name: str,
    count: int,
    pixel_size_um: float,
    names: str,
    hours: Sequence[float] = (),
    corner_um: tuple[float, float] | None = None,
) -> list[dict[str, Any]]:
    """OME-Zarr's multiscales entry; `names` are the axes, `hours` those of the time points.

    `corner_um` is where the field's first row and column lie in its well, rows downwards.

    An axis has one scale. Where the time points are not evenly spaced it has no unit, and counts
    them: any number of hours would be wrong.
    """
    steps = np.diff(hours)
    even = len(steps) > 0 and bool(np.allclose(steps, steps[0], rtol=1e-3))
    axes = _axes(names)
    if "t" in names and not even:
        axes[0] = {"name": "t", "type": "time"}
    lead = [float(steps[0]) if axis == "t" and even else 1.0 for axis in names[:-2]]
    place = (
        []
        if corner_um is None
        else [{"type": "translation", "translation": [0.0] * len(lead) + list(corner_um)}]
    )
    return [
        {
            "name": name,
            "axes": axes,
            "datasets": [
                {
                    "path": str(level),
                    "coordinateTransformations": [
                        {
                            "type": "scale",
                            "scale": [*lead, pixel_size_um * 2**level, pixel_size_um * 2**level],
                        },
                        *place,
                    ],
                }
                for level in range(count)
            ],
        }
    ]


def corner_um(
    centres: Mapping[int, tuple[int, int]], number: int, shape: tuple[int, ...], px: float
) -> tuple[float, float] | None:
    """(y, x) in µm of the first pixel's corner of a field; None without a known centre."""
    if number not in centres:
        return None
    y, x = (c - n / 2 for c, n in zip(centres[number], shape[-2:], strict=True))
    return y * px, x * px


def write_well(
    folder: Path,
    fields: Iterable[NDArray[np.generic]],
    channels: Sequence[str],
    roles: Sequence[str | None],
    pixel_size_um: float,
    hours: Sequence[float] = (),
    name: str = "",
    centres: Mapping[int, tuple[int, int]] | None = None,
) -> None:
    """Write one well as the OME-Zarr group `folder`, audit it and check it against the schema.

    `fields` gives (C, Y, X), or (T, C, Y, X) in a time-lapse with `hours` of its time points.
    `name` is the well's, which `folder` does not carry while it is scratch. `centres` are those of
    fields that overlap, by number from 1: (row downwards, column) in pixels.
    """
    from ome_zarr_models.v05.image import ImageAttrs
    from ome_zarr_models.v05.well import WellAttrs

    well = zarr.open_group(folder, mode="w", zarr_format=3)
    i = -1
    for i, pixels in enumerate(fields):
        levels = levels_of(pixels, labels=False)
        axes = "tcyx"[-pixels.ndim :]
        image = {
            "version": VERSION,
            "multiscales": multiscales(
                f"field {i + 1}",
                len(levels),
                pixel_size_um,
                axes,
                hours,
                corner_um(centres or {}, i + 1, pixels.shape, pixel_size_um),
            ),
            "omero": {
                "channels": [
                    _channel(pixels[..., c, :, :], channels[c], roles[c])
                    for c in range(len(channels))
                ]
            },
        }
        ImageAttrs.model_validate(image)
        # OME-Zarr has no place for a channel's role or for hours that are not evenly spaced.
        timed = {"hours": list(hours)} if axes[0] == "t" and len(hours) else {}
        kept = {
            "roles": list(roles),
            **timed,
            "place": [name, i + 1],
            "sha256": _digests(pixels),
        }
        well.create_group(str(i), attributes={"ome": image, "motor_neuron": kept})
        for level, scaled in enumerate(levels):
            array = create_array(folder / str(i) / str(level), scaled.shape, scaled.dtype, axes)
            array[...] = scaled
            audit(array, f"{folder.name}, field {i + 1}, level {level}")
    whole = {
        "version": VERSION,
        "well": {"images": [{"path": str(n), "acquisition": 0} for n in range(i + 1)]},
    }
    WellAttrs.model_validate(whole)
    well.attrs["ome"] = whole


def _digests(pixels: NDArray[np.generic]) -> list[str]:
    """SHA-256 (hex) of each plane, in the order of the array's leading axes.

    A checksum of bytes does not see a shard that took another one's place.
    """
    digests = []
    for plane in pixels.reshape(-1, *pixels.shape[-2:]):
        digest = hashlib.sha256(f"{plane.shape} {plane.dtype.str} ".encode())
        digest.update(np.ascontiguousarray(plane).data)
        digests.append(digest.hexdigest())
    return digests


def _compare(pixels: NDArray[np.generic], kept: Mapping[str, Any], place: list[Any]) -> None:
    """Raise StoreError unless (C, Y, X) of a well, field and time point are those converted there.

    Plates that an earlier version converted have no digests to compare with.
    """
    if "sha256" not in kept:
        return
    well, field, frame = place
    first = (frame - 1) * len(pixels)
    converted = kept["sha256"][first : first + len(pixels)]
    if kept["place"] not in (["", field], [well, field]) or converted != _digests(pixels):
        raise StoreError(
            f"well {well}, field {field}: the stored pixels are not those that were converted;"
            " delete the converted plate and analyse the scan again"
        )


def write_taken(
    folder: Path,
    exposed_h: Mapping[tuple[int, int], float],
    planes: Mapping[tuple[int, int], tuple[int, ...]] | None = None,
) -> None:
    """Note with a stored well when its images were taken, and which planes of stacks they are.

    (field, time point) ► hours, and ► number of the plane of each channel, where one was chosen.
    """
    noted: dict[str, Any] = {
        "exposed_h": [[*key, hours] for key, hours in sorted(exposed_h.items())]
    }
    if planes:
        noted["planes"] = [[*key, *numbers] for key, numbers in sorted(planes.items())]
    zarr.open_group(folder, mode="a").attrs["motor_neuron"] = noted


def read_exposures(folder: Path, well: Well) -> dict[tuple[int, int], float]:
    """Hours that `write_taken` noted. Raises StoreError."""
    where = well_path(well)
    with damaged(StoreError, f"{folder.name}/{where}"):
        listed: Any = zarr.open_group(folder / where, mode="r").attrs["motor_neuron"]
        return {(int(f), int(t)): float(h) for f, t, h in listed["exposed_h"]}


def read_planes(folder: Path, well: Well) -> dict[tuple[int, int], tuple[int, ...]]:
    """Planes that `write_taken` noted; none where no plane was chosen. Raises StoreError."""
    where = well_path(well)
    with damaged(StoreError, f"{folder.name}/{where}"):
        noted: Any = zarr.open_group(folder / where, mode="r").attrs["motor_neuron"]
        listed = noted.get("planes", [])
        return {(int(f), int(t)): tuple(int(z) for z in taken) for f, t, *taken in listed}


def _channel(plane: NDArray[np.generic], name: str, role: str | None) -> dict[str, Any]:
    # Of sorted numbers, which takes a quarter of the time.
    sample = np.sort(plane[..., ::4, ::4], axis=None)
    low, high = (float(v) for v in np.percentile(sample, [1, 99.8]))
    top = (
        float(2 ** (8 * plane.dtype.itemsize) - 1)
        if plane.dtype.kind == "u"
        else float(plane.astype(np.float32).max())
    )
    label = name if role is None or role == name else f"{role} ({name})"
    return {
        "label": label,
        "color": _COLOURS.get(role or "", "AAAAAA"),
        "active": role is not None,
        "window": {"min": 0.0, "max": top, "start": low, "end": max(high, low + 1)},
    }


def well_path(well: Well) -> str:
    """Path of a well inside a plate: "B/3" as the specification's rows and columns name it."""
    return f"{row_letters(well.row)}/{well.column}"


def begin_plate(folder: Path) -> None:
    """Create the root group.

    It names no wells: a plate that is still being converted is not yet a plate.
    """
    zarr.open_group(folder, mode="a", zarr_format=3)


def finish_plate(folder: Path, name: str, fmt: PlateFormat) -> None:
    """Name the wells that are there in the plate's metadata, and check it against the schema.

    A well was checked when it was written: opening all its images again would take longer than all
    that is left to do when the last well has ended.
    """
    from ome_zarr_models.v05.hcs import HCSAttrs

    root = zarr.open_group(folder, mode="a", zarr_format=3)
    # All stored wells, not only this run's: runs with other plate maps share the plate.
    positions = [Well(r, c) for r in range(1, fmt.rows + 1) for c in range(1, fmt.columns + 1)]
    wells = {w: n for w in positions if (n := field_count(folder, w))}
    for row in sorted({w.row for w in wells}):
        zarr.open_group(folder / row_letters(row), mode="a", zarr_format=3)
    rows, columns = range(1, fmt.rows + 1), range(1, fmt.columns + 1)
    plate = {
        "version": VERSION,
        "plate": {
            "name": name,
            "version": VERSION,
            "rows": [{"name": row_letters(r)} for r in rows],
            "columns": [{"name": str(c)} for c in columns],
            "wells": [
                {"path": well_path(w), "rowIndex": w.row - 1, "columnIndex": w.column - 1}
                for w in sorted(wells)
            ],
            "field_count": max(wells.values(), default=1),
            "acquisitions": [{"id": 0}],
        },
    }
    if wells:
        HCSAttrs.model_validate(plate)
    root.attrs["ome"] = plate


def write_light(
    folder: Path,
    run: str,
    channels: Sequence[str],
    sources: Sequence[str],
    profiles: NDArray[np.float32],
    dark: Sequence[float | None],
) -> None:
    """Keep the light that a run corrects a plate by, in the plate's group `illumination/RUN`.

    Pixels stay as the camera saw them. Runs that share a plate may correct it by other profiles, so
    each has its own.

    Parameters
    ----------
    folder, run
        The plate, and the id of the run.
    channels, sources
        Per channel its name, and what its profile comes from: instrument, estimated or none.
    profiles
        (C, Y, X) relative light over the whole field, each with mean 1, at any size.
    dark
        Per channel the camera's level without light in grey levels, which is taken off before the
        division; None where the field's background is.
    """
    root = zarr.open_group(folder, mode="a", zarr_format=3)
    place = f"{_LIGHT}/{run[:12]}"
    group = root.require_group(place)
    array = create_array(
        folder / place / "profile", profiles.shape, profiles.dtype, "cyx", replace=True
    )
    array[...] = profiles
    group.attrs["motor_neuron"] = {
        "channels": list(channels),
        "sources": list(sources),
        "dark": list(dark),
    }


def read_light(
    folder: Path, run: str
) -> tuple[tuple[str, ...], tuple[str, ...], Any, tuple[float | None, ...]]:
    """Names of the channels, their sources, the profiles and the dark levels of `write_light`.

    Raises StoreError where there are none.
    """
    where = f"{_LIGHT}/{run[:12]}"
    with damaged(StoreError, f"{folder.name}/{where}"):
        group = zarr.open_group(folder / where, mode="r")
        noted: Any = group.attrs["motor_neuron"]
        array: Any = group["profile"]
        audit(array, where)
        channels = tuple(noted["channels"])
        # Runs of before the level was estimated have none.
        dark = tuple(noted.get("dark", (None,) * len(channels)))
        return channels, tuple(noted["sources"]), np.asarray(array[...]), dark


def frame_count(folder: Path, well: Well, field: int) -> int:
    """Number of time points of a stored field; 1 for a fixed one."""
    array: Any = zarr.open_array(folder / well_path(well) / str(field - 1) / "0", mode="r")
    return int(array.shape[0]) if array.ndim == 4 else 1


def field_shape(folder: Path, well: Well, field: int) -> tuple[int, int]:
    """(Y, X) of a stored field in pixels."""
    array: Any = zarr.open_array(folder / well_path(well) / str(field - 1) / "0", mode="r")
    return int(array.shape[-2]), int(array.shape[-1])


def read_field(
    folder: Path, well: Well, field: int, frame: int = 1
) -> tuple[NDArray[np.generic], tuple[str | None, ...], float]:
    """Pixels (C, Y, X), roles and pixel size (µm) of a stored field and time point.

    Field and time point are counted from 1. Raises StoreError.
    """
    where = f"{well_path(well)}/{field - 1}"
    with damaged(StoreError, f"{folder.name}/{where}"):
        group = zarr.open_group(folder / where, mode="r")
        array: Any = group["0"]
        audit(array, where)
        ome: Any = group.attrs["ome"]
        kept: Any = group.attrs["motor_neuron"]
        scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
        pixels = np.asarray(frame_of(array, 3, frame, where))
        _compare(pixels, kept, [well.name, field, frame])
        return pixels, tuple(kept["roles"]), float(scale[-1])


def frame_of(array: Any, dimensions: int, frame: int, where: str) -> Any:
    """One time point of an array that has `dimensions` axes besides time.

    Raises StoreError if it is not there.
    """
    if array.ndim == dimensions and frame == 1:
        return array[...]
    if array.ndim != dimensions + 1 or not 1 <= frame <= array.shape[0]:
        raise StoreError(f"{where}: there is no time point {frame}")
    return array[frame - 1]


def field_count(folder: Path, well: Well) -> int:
    """Number of stored fields of a well; 0 if it is not stored."""
    path = folder / well_path(well) / "zarr.json"
    if not path.is_file():
        return 0
    # Read as the text that it is: zarr takes a hundred times as long to open a group.
    return len(json.loads(path.read_bytes())["attributes"]["ome"]["well"]["images"])
