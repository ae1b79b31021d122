"""OME-Zarr plates, versions 0.4 (zarr 2) and 0.5 (zarr 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ImageError, ScanError, damaged
from imaging_service.ingest.plan import ImageRef, Limits, PlatePlan
from imaging_service.protocol import Acquisition
from plate_maps import FORMATS, PlateFormat, Well
from plate_maps.wells import row_number, whole_number

_HOURS = {"hour": 1.0, "minute": 1 / 60, "second": 1 / 3600, "millisecond": 1 / 3.6e6, "day": 24.0}
_METRES = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "meter": 1e6}


class OmeZarrReader:
    """Reader "ome-zarr"."""

    name = "ome-zarr"

    def sniff(self, root: Path) -> float:
        """1 if the group's attributes name a plate."""
        try:
            return 1.0 if "plate" in _attributes(root) else 0.0
        except ScanError:
            return 0.0

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """Walk plate ► wells ► fields by their metadata."""
        import zarr

        plate = _attributes(root).get("plate")
        if not isinstance(plate, dict):
            raise ScanError(f"{root} is not an OME-Zarr plate: its attributes have no 'plate'")
        group = zarr.open_group(root, mode="r")
        images: list[ImageRef] = []
        missing: list[ImageRef] = []
        channels: tuple[str, ...] = ()
        size: float | None = None
        notes: list[str] = []
        axes_h: set[tuple[float, ...] | None] = set()
        for entry in plate.get("wells", []):
            path = str(entry.get("path", ""))
            letters, _, number = path.partition("/")
            try:
                well = Well(row_number(letters), whole_number(number))
            except ValueError as error:
                raise ScanError(f"{root}: well path {path!r} is not ROW/COLUMN") from error
            try:
                attributes = _ome(group[path].attrs.asdict())
                fields = [str(i["path"]) for i in attributes["well"]["images"]]
            except KeyError:
                # Seen in real stores: no `well` metadata. The image groups below are then the
                # fields, and a note says so.
                fields = sorted(k for k in group[path].group_keys()) if path in group else []
                notes.append(f"well {well} has no well metadata; its groups were taken as fields")
            if not fields:
                missing.append(ImageRef(well, 1, 1, "", 1, path))
            for position, name in enumerate(fields, start=1):
                where = f"{path}/{name}"
                try:
                    layout, names, pixel, shape = _image_metadata(group, where, root)
                except ScanError as error:
                    missing.append(ImageRef(well, position, 1, "", 1, where))
                    notes.append(str(error))
                    continue
                if shape[-1] * shape[-2] > limits.image_pixels:
                    raise ScanError(
                        f"{root}/{where}: {shape[-2]} × {shape[-1]} pixels are more than the"
                        f" limit of {limits.image_pixels:,} per plane"
                    )
                if channels and names != channels:
                    raise ScanError(
                        f"{root}/{where}: channels {', '.join(names)} differ from those of other"
                        f" wells, {', '.join(channels)}"
                    )
                if size is not None and pixel is not None and abs(pixel / size - 1) > 0.01:
                    raise ScanError(
                        f"{root}/{where}: pixel size {pixel:.4g} µm differs from {size:.4g} µm of"
                        " other wells"
                    )
                channels, size = names, size if size is not None else pixel
                axes_h.add(layout["hours"])
                for index in np.ndindex(shape[:-2]):
                    t, c, z = _tcz(layout["axes"], index)
                    images.append(
                        ImageRef(
                            well,
                            position,
                            t + 1,
                            names[c],
                            z + 1,
                            f"{where}/{layout['path']}",
                            index,
                        )
                    )
                    if len(images) > limits.images:
                        raise ScanError(f"{root} has more than {limits.images:,} planes")
        if not images:
            raise ScanError(f"{root}: the plate names no well with images")
        rows, columns = len(plate.get("rows", [])), len(plate.get("columns", []))
        declared = PlateFormat(rows, columns)
        # Many writers list the used rows and columns only; such a grid says nothing of the plate's
        # format.
        fmt = (
            declared
            if declared in FORMATS.values() and all(i.well in declared for i in images)
            else None
        )
        hours = _common_hours(axes_h, notes)
        return PlatePlan(
            self.name,
            str(plate.get("name") or root.name),
            root,
            channels,
            size,
            fmt,
            tuple(sorted(images)),
            tuple(notes),
            tuple(missing),
            hours,
        )

    def read(self, plan: PlatePlan, image: ImageRef, limits: Limits) -> NDArray[np.generic]:
        """One plane of the highest resolution.

        An array with missing chunks is refused: zarr would read them as zeros.
        """
        import zarr

        with damaged(ImageError, image.path):
            array = zarr.open_array(plan.root / image.path, mode="r")
            # A shard may reach beyond the array, so more chunks than the array's can be there.
            if array.nchunks_initialized < array.nchunks:
                raise ImageError(
                    f"{image.path}: {array.nchunks_initialized} of {array.nchunks} chunks are"
                    " there; the missing ones would read as zeros"
                )
            return np.asarray(array[image.index])

    def exposed_s(self, plan: PlatePlan, image: ImageRef) -> float | None:
        """None: OME-Zarr has no place for the time of an exposure."""
        return None

    def local_clock(self, plan: PlatePlan, image: ImageRef) -> bool:
        """False: there is no time of an exposure."""
        return False


def _attributes(root: Path) -> dict[str, Any]:
    import zarr

    with damaged(ScanError, f"{root} as a zarr group"):
        return _ome(zarr.open_group(root, mode="r").attrs.asdict())


def _ome(attributes: dict[str, Any]) -> dict[str, Any]:
    """Version 0.5 keeps its metadata under "ome", 0.4 at the top."""
    inner = attributes.get("ome")
    return inner if isinstance(inner, dict) else attributes


def _image_metadata(
    group: Any, where: str, root: Path
) -> tuple[dict[str, Any], tuple[str, ...], float | None, tuple[int, ...]]:
    try:
        everything = group[where].attrs.asdict()
        attributes = _ome(everything)
        multiscale = attributes["multiscales"][0]
        dataset = multiscale["datasets"][0]
        axes = [a["name"] if isinstance(a, dict) else str(a) for a in multiscale["axes"]]
        path = str(dataset["path"])
        array = group[f"{where}/{path}"]
        scale = _scale(dataset, len(axes))
        if "coordinateTransformations" in multiscale:
            scale = [a * b for a, b in zip(scale, _scale(multiscale, len(axes)), strict=True)]
    except (KeyError, IndexError, StopIteration, TypeError, ValueError) as error:
        raise ScanError(
            f"{root}/{where}: the image metadata are incomplete ({type(error).__name__}: {error})"
        ) from error
    if axes[-2:] != ["y", "x"]:
        raise ScanError(f"{root}/{where}: axes {', '.join(axes)} do not end in y, x")
    units = [a.get("unit") if isinstance(a, dict) else None for a in multiscale["axes"]]
    factor = _METRES.get(units[-1] or "")
    if abs(scale[-1] / scale[-2] - 1) > 0.001:
        raise ScanError(f"{root}/{where}: pixels are not square ({scale[-1]} × {scale[-2]})")
    pixel = None if factor is None else float(scale[-1]) * factor
    count = array.shape[axes.index("c")] if "c" in axes else 1
    omero = attributes.get("omero", {}).get("channels", [])
    names = tuple(
        str(omero[i].get("label") or i + 1) if i < len(omero) else str(i + 1) for i in range(count)
    )
    if len(set(names)) < len(names):
        names = tuple(str(i + 1) for i in range(count))
    layout: dict[str, Any] = {"axes": axes, "path": path, "hours": None}
    if "t" in axes:
        of_time = axes.index("t")
        layout["hours"] = _hours(
            everything, int(array.shape[of_time]), scale[of_time], units[of_time]
        )
    return layout, names, pixel, tuple(array.shape)


def _hours(
    attributes: dict[str, Any], count: int, step: float, unit: str | None
) -> tuple[float, ...] | None:
    """Hours of the time points; None where the time axis has no unit.

    A list of this service's own stores comes before the axis, whose scale is one number.
    """
    listed = attributes.get("motor_neuron", {}).get("hours", [])
    if len(listed) == count:
        return tuple(float(h) for h in listed)
    factor = _HOURS.get(unit or "")
    return None if factor is None else tuple(i * step * factor for i in range(count))


def _common_hours(axes: set[tuple[float, ...] | None], notes: list[str]) -> dict[int, float]:
    """Time point ► hours, if all fields have the same; otherwise none, and a note says so."""
    if len(axes) > 1:
        notes.append(
            f"the fields have {len(axes)} different time axes, and none of them was used: hours"
            " follow the numbers of the time points"
        )
    hours = next(iter(axes)) if len(axes) == 1 else None
    return {} if hours is None else dict(enumerate(hours, start=1))


def _scale(holder: dict[str, Any], dimensions: int) -> list[float]:
    """The scale of a dataset or multiscale; ones where only a translation is given."""
    given = [t["scale"] for t in holder["coordinateTransformations"] if t["type"] == "scale"]
    return [float(v) for v in given[0]] if given else [1.0] * dimensions


def _tcz(axes: list[str], index: tuple[int, ...]) -> tuple[int, int, int]:
    place = dict(zip(axes, index, strict=False))
    return place.get("t", 0), place.get("c", 0), place.get("z", 0)
