"""OME-Zarr plates, versions 0.4 (zarr 2) and 0.5 (zarr 3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ImageError, ScanError, damaged
from imaging_service.incoming.s3 import AT_ONCE, S3Path
from imaging_service.ingest.images.zarr_on_s3 import listed_store, zarr_store
from imaging_service.ingest.optics.mosaic import covered_by
from imaging_service.ingest.optics.overlaps import overlaps
from imaging_service.ingest.pixel_size import SizeStatement, decide
from imaging_service.ingest.plan import (
    Announced,
    FindingKind,
    ImageRef,
    Limits,
    PlatePlan,
    ScanFinding,
)
from imaging_service.ingest.several import one_of
from imaging_service.protocol import Acquisition
from plate_maps import FORMATS, PlateFormat, Well
from plate_maps.wells import row_number, whole_number

_Looked = TypeVar("_Looked")
# Files that make a folder a zarr group.
_GROUPS = ("zarr.json", ".zgroup", ".zattrs")
_HOURS = {"hour": 1.0, "minute": 1 / 60, "second": 1 / 3600, "millisecond": 1 / 3.6e6, "day": 24.0}
_METRES = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "meter": 1e6}


class OmeZarrReader:
    """Reader "ome-zarr"."""

    name = "ome-zarr"

    def sniff(self, root: Path) -> float:
        """1 if the group's attributes name a plate; a little if they cannot be read."""
        try:
            return 1.0 if "plate" in _attributes(root) else 0.0
        except ScanError:
            return 0.1 if any((root / name).is_file() for name in _GROUPS) else 0.0

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """Walk plate ► wells ► fields by their metadata.

        A field whose metadata cannot be read fails its well; one that is named and not there is
        lost.
        """
        plate = _attributes(root).get("plate")
        if not isinstance(plate, dict):
            raise ScanError(f"{root} is not an OME-Zarr plate: its attributes have no 'plate'")
        group = _group(root)
        notes: list[str] = []
        wells = _wells(root, group, plate, acquisition.measurement, notes)
        # A well without fields is one that is lost, by its own path.
        fields = [
            (well, number, f"{path}/{name}" if name else path)
            for well, path, listed in wells
            for number, name in enumerate(listed or [""], start=1)
        ]
        images: list[ImageRef] = []
        missing: list[ImageRef] = []
        broken: list[ImageRef] = []
        channels: tuple[str, ...] = ()
        sizes: list[SizeStatement] = []
        axes_h: set[tuple[float, ...] | None] = set()
        shape_px = (0, 0)
        with ThreadPoolExecutor(AT_ONCE if isinstance(root, S3Path) else 4) as pool:
            described = list(pool.map(lambda f: _described(group, f[2], root), fields))
        for (well, number, where), image in zip(fields, described, strict=True):
            if image is None:
                missing.append(ImageRef(well, number, 1, "", 1, where))
                continue
            if isinstance(image, ScanError):
                broken.append(ImageRef(well, number, 1, "", 1, where, reason=str(image)))
                continue
            shape = image.shape
            if shape[-1] * shape[-2] > limits.image_pixels:
                raise ScanError(
                    f"{root}/{where}: {shape[-2]} × {shape[-1]} pixels are more than the"
                    f" limit of {limits.image_pixels:,} per plane"
                )
            if channels and image.channels != channels:
                raise ScanError(
                    f"{root}/{where}: channels {', '.join(image.channels)} differ from those of"
                    f" other wells, {', '.join(channels)}"
                )
            channels = image.channels
            shape_px = max(shape_px, (shape[-2], shape[-1]))
            if image.pixel_um is not None:
                x, y = image.pixel_um
                sizes.append(SizeStatement(x, y, "OME-Zarr scale", where, well=well))
            axes_h.add(image.hours)
            if len(images) + math.prod(shape[:-2]) > limits.images:
                raise ScanError(f"{root} has more than {limits.images:,} planes")
            for index in np.ndindex(shape[:-2]):
                t, c, z = _tcz(image.axes, index)
                images.append(
                    ImageRef(
                        well,
                        number,
                        t + 1,
                        channels[c],
                        z + 1,
                        f"{where}/{image.path}",
                        tuple(index),
                        position_um=image.centre_um,
                    )
                )
        size, hours = decide(sizes), _common_hours(axes_h, notes)
        if not images:
            why = f": {broken[0].reason}" if broken else ""
            raise ScanError(f"{root}: the plate names no well with images{why}")
        return PlatePlan(
            self.name,
            str(plate.get("name") or root.name),
            root,
            channels,
            size.um,
            _format(plate, {i.well for i in images}),
            tuple(sorted(images)),
            tuple(notes),
            tuple(missing),
            hours,
            pixel_size_source=size.source,
            announced=Announced(
                "the plate's metadata", tuple(sorted({well for well, _, _ in wells}))
            ),
            findings=(
                *size.findings,
                *overlaps(images, shape_px, size.um),
                *(
                    ScanFinding(FindingKind.LOST, f"well {i.well}: {i.reason}", (i.well,))
                    for i in broken
                ),
            ),
            broken=tuple(broken),
            field_px=shape_px,
        )

    def read(self, plan: PlatePlan, image: ImageRef, limits: Limits) -> NDArray[np.generic]:
        """One plane of the highest resolution.

        Zarr would read missing chunks as zeros: an array that lacks some is refused, unless they
        are tiles of a mosaic that no field covers, by its table of fields.
        """
        import zarr

        with damaged(ImageError, image.path):
            array = zarr.open_array(listed_store(plan.root / image.path), mode="r")
            # A shard may reach beyond the array, so more chunks than the array's can be there.
            if array.nchunks_initialized < array.nchunks and not _outside_every_field(
                array, plan.root, image
            ):
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


def _group(root: Path, store: Callable[[Path], Any] = zarr_store) -> Any:
    import zarr

    return zarr.open_group(store(root), mode="r")


def _attributes(root: Path) -> dict[str, Any]:
    with damaged(ScanError, f"{root} as a zarr group"):
        return _ome(_group(root).attrs.asdict())


def _ome(attributes: dict[str, Any]) -> dict[str, Any]:
    """Version 0.5 keeps its metadata under "ome", 0.4 at the top."""
    inner = attributes.get("ome")
    return inner if isinstance(inner, dict) else attributes


def _wells(
    root: Path, group: Any, plate: dict[str, Any], wanted: str, notes: list[str]
) -> list[tuple[Well, str, list[str]]]:
    """(well, its path, paths of its fields), of one acquisition.

    A well whose metadata cannot be read has the groups below it for fields, and a note says so.
    Raises ScanError for a path that is not a well, and with a list where there are several
    acquisitions.
    """
    entries = plate.get("wells", [])
    listed: list[tuple[Well, str, list[tuple[int, str]]]] = []
    for entry in entries if isinstance(entries, list) else []:
        path = str(entry.get("path", "")) if isinstance(entry, dict) else ""
        letters, _, number = path.partition("/")
        try:
            well = Well(row_number(letters), whole_number(number))
        except ValueError as error:
            raise ScanError(f"{root}: well path {path!r} is not ROW/COLUMN") from error
        listed.append((well, path, _fields(group, root, well, path, notes)))
    notes += _contradictions(plate, [(well, path) for well, path, _ in listed])
    names = _acquisitions(plate, {a for _, _, fields in listed for a, _ in fields})
    chosen: int | None = None
    if len(names) > 1 or wanted:
        wanted = next((n for n, a in names.items() if str(a) == wanted), wanted)
        chosen = names[one_of(names, wanted, str(root), "acquisition")]
    return [
        (well, path, [name for a, name in fields if chosen in (None, a)])
        for well, path, fields in listed
    ]


def _contradictions(plate: dict[str, Any], wells: list[tuple[Well, str]]) -> list[str]:
    """What the plate's lists say otherwise than the paths of its wells, by which wells are read."""
    notes = []
    listed = plate.get("wells", [])
    entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
    for axis, part in (("row", 0), ("column", 1)):
        named = plate.get(f"{axis}s")
        names = [
            str(n.get("name")) if isinstance(n, dict) else ""
            for n in (named if isinstance(named, list) else [])
        ]
        if len(set(names)) < len(names):
            notes.append(f"the plate lists {axis}s of one name twice: paths of wells count")
        indices = [entry.get(f"{axis}Index") for entry in entries]
        other = [
            well
            for (well, path), index in zip(wells, indices, strict=True)
            if names
            and index is not None
            and not (
                isinstance(index, int)
                and index in range(len(names))
                and names[index] == path.split("/")[part]
            )
        ]
        if other:
            notes.append(
                f"by its {axis}Index {', '.join(map(str, other[:5]))} would be another well: the"
                " path counts"
            )
    return notes


def _fields(
    group: Any, root: Path, well: Well, path: str, notes: list[str]
) -> list[tuple[int, str]]:
    """(acquisition, path) of a well's fields."""

    def named(opened: Callable[[], Any]) -> list[tuple[int, str]]:
        entries = _ome(opened().attrs.asdict())["well"]["images"]
        return [(int(i.get("acquisition") or 0), str(i["path"])) for i in entries]

    try:
        return _looked(group, root, path, named)
    except ScanError:
        # Seen in real stores: no `well` metadata. The image groups below are then the fields.
        with suppress(ScanError), damaged(ScanError, path):
            keys = sorted(group[path].group_keys())
            notes.append(f"well {well} has no well metadata; its groups were taken as fields")
            return [(0, key) for key in keys]
        # Neither the well nor anything below it can be read: its first field is broken or lost.
        return [(0, "0")]


def _acquisitions(plate: dict[str, Any], used: set[int]) -> dict[str, int]:
    """Name ► id of the acquisitions that wells have fields of; the id where names are not one's."""
    listed = plate.get("acquisitions", [])
    named = {
        a.get("id"): str(a["name"])
        for a in (listed if isinstance(listed, list) else [])
        if isinstance(a, dict) and a.get("name")
    }
    names = [named.get(a, str(a)) for a in sorted(used)]
    if len(set(names)) < len(names):
        names = [str(a) for a in sorted(used)]
    return dict(zip(names, sorted(used), strict=True))


def _format(plate: dict[str, Any], wells: Iterable[Well]) -> PlateFormat | None:
    """The plate's format; None where only used rows and columns are listed, as many writers do."""
    rows, columns = plate.get("rows", []), plate.get("columns", [])
    if not (isinstance(rows, list) and isinstance(columns, list)):
        return None
    declared = PlateFormat(len(rows), len(columns))
    fits = declared in FORMATS.values() and all(well in declared for well in wells)
    return declared if fits else None


@dataclass(frozen=True)
class _Image:
    """What a field's metadata say.

    `pixel_um` is (x, y), None where no scale or unit is given, and `centre_um` where the field's
    centre lies (x, y upwards), None without a translation.
    """

    axes: list[str]
    path: str
    channels: tuple[str, ...]
    pixel_um: tuple[float, float] | None
    shape: tuple[int, ...]
    hours: tuple[float, ...] | None
    centre_um: tuple[float, float] | None = None


def _described(group: Any, where: str, root: Path) -> _Image | ScanError | None:
    """A field's metadata; the error where they cannot be read, None where the field is lost."""
    if where.count("/") < 2:
        return None
    try:
        return _looked(group, root, where, lambda opened: _image_metadata(opened, where, root))
    except ScanError as error:
        return error if (root / where).is_dir() else None


def _looked(
    group: Any, root: Path, where: str, look: Callable[[Callable[[], Any]], _Looked]
) -> _Looked:
    """What `look` makes of what opens a group. Raises ScanError.

    On S3 a part of it may be there and not have been handed over. So after an error it looks again,
    at what is listed, which raises Unavailable for such a part.
    """
    try:
        with damaged(ScanError, f"{root}/{where}"):
            return look(lambda: group[where])
    except ScanError:
        if not isinstance(root, S3Path):
            raise
    with damaged(ScanError, f"{root}/{where}"):
        return look(lambda: _group(root / where, listed_store))


def _image_metadata(opened: Callable[[], Any], where: str, root: Path) -> _Image:
    try:
        image = opened()
        everything = image.attrs.asdict()
        attributes = _ome(everything)
        multiscale = attributes["multiscales"][0]
        dataset = multiscale["datasets"][0]
        axes = [a["name"] if isinstance(a, dict) else str(a) for a in multiscale["axes"]]
        path = str(dataset["path"])
        array = image[path]
        scale = _scale(dataset, len(axes))
        if "coordinateTransformations" in multiscale:
            whole = _scale(multiscale, len(axes)) or [1.0] * len(axes)
            scale = scale and [a * b for a, b in zip(scale, whole, strict=True)]
        corner = _corner(dataset, multiscale, len(axes))
    except (KeyError, IndexError, StopIteration, TypeError, ValueError) as error:
        raise ScanError(
            f"{root}/{where}: the image metadata are incomplete ({type(error).__name__}: {error})"
        ) from error
    if len(set(axes)) < len(axes):
        raise ScanError(f"{root}/{where}: axes {', '.join(axes)} have one of them twice")
    if axes[-2:] != ["y", "x"]:
        raise ScanError(f"{root}/{where}: axes {', '.join(axes)} do not end in y, x")
    shape = tuple(array.shape)
    if len(shape) != len(axes) or 0 in shape:
        raise ScanError(f"{root}/{where}: an array of shape {shape} has not axes {', '.join(axes)}")
    units = [a.get("unit") if isinstance(a, dict) else None for a in multiscale["axes"]]
    of_y, of_x = (_METRES.get(str(unit)) for unit in units[-2:])
    pixel = (
        (scale[-1] * of_x, scale[-2] * of_y)
        if scale is not None and of_x is not None and of_y is not None
        else None
    )
    count = shape[axes.index("c")] if "c" in axes else 1
    hours = None
    if "t" in axes:
        of_time = axes.index("t")
        step = 1.0 if scale is None else scale[of_time]
        hours = _hours(everything, shape[of_time], step, units[of_time])
    centre = None
    if corner is not None and pixel is not None and of_x is not None and of_y is not None:
        centre = (
            corner[1] * of_x + pixel[0] * shape[-1] / 2,
            -(corner[0] * of_y + pixel[1] * shape[-2] / 2),
        )
    return _Image(axes, path, _channel_names(attributes, count), pixel, shape, hours, centre)


def _corner(
    dataset: dict[str, Any], multiscale: dict[str, Any], dimensions: int
) -> tuple[float, float] | None:
    """(y, x) of a field's first pixel in its well, in the units of the axes; None where unsaid.

    The multiscale's own scale and translation come after the dataset's. Raises ValueError.
    """
    place: tuple[float, float] | None = None
    for holder in (dataset, multiscale):
        for step in holder.get("coordinateTransformations", ()):
            if step["type"] not in ("scale", "translation"):
                continue
            values = step[step["type"]]
            if not isinstance(values, list) or len(values) != dimensions:
                raise ValueError(f"{step['type']} {values!r:.80} has not one number per axis")
            y, x = (float(v) for v in values[-2:])
            if step["type"] == "translation":
                if not (math.isfinite(y) and math.isfinite(x)):
                    raise ValueError(f"translation {values!r:.80} is not finite")
                before = place or (0.0, 0.0)
                place = (before[0] + y, before[1] + x)
            elif place is not None:
                place = (place[0] * y, place[1] * x)
    return place


def _channel_names(attributes: dict[str, Any], count: int) -> tuple[str, ...]:
    """Labels of the channels; their numbers where there are none, or one label twice."""
    omero = attributes.get("omero")
    listed = omero.get("channels", []) if isinstance(omero, dict) else []
    labels = [c.get("label") if isinstance(c, dict) else None for c in listed[:count]]
    labels += [None] * (count - len(labels))
    names = tuple(str(label or n) for n, label in enumerate(labels, start=1))
    return names if len(set(names)) == count else tuple(str(n + 1) for n in range(count))


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


def _scale(holder: dict[str, Any], dimensions: int) -> list[float] | None:
    """The scale of a dataset or multiscale; None where none is given. Raises ValueError."""
    kinds = [t["type"] for t in holder["coordinateTransformations"]]
    given = [t["scale"] for t in holder["coordinateTransformations"] if t["type"] == "scale"]
    if not given:
        return None
    if len(given) > 1 or kinds[0] != "scale":
        raise ValueError(f"transformations {', '.join(map(str, kinds))} are not one scale first")
    if not isinstance(given[0], list) or len(given[0]) != dimensions:
        raise ValueError(f"scale {given[0]!r:.80} has not one number per axis")
    return [float(v) for v in given[0]]


def _outside_every_field(array: Any, root: Path, image: ImageRef) -> bool:
    """Whether all chunks of the plane that are missing lie in no field of a mosaic."""
    if array.shards is not None or array.fill_value is None:
        return False
    folder = root / image.path
    lead = [i // c for i, c in zip(image.index, array.chunks, strict=False)]
    height, width = array.chunks[-2:]
    absent = [
        (y * height, x * width, (y + 1) * height, (x + 1) * width)
        for y in range(-(-array.shape[-2] // height))
        for x in range(-(-array.shape[-1] // width))
        if not (folder / array.metadata.encode_chunk_key((*lead, y, x))).is_file()
    ]
    where = image.path.rpartition("/")[0]
    scale = _image_metadata(lambda: _group(root)[where], where, root).pixel_um
    return scale is not None and covered_by(folder.parent / "tables", scale, absent) is False


def _tcz(axes: list[str], index: tuple[int, ...]) -> tuple[int, int, int]:
    place = dict(zip(axes, index, strict=False))
    return place.get("t", 0), place.get("c", 0), place.get("z", 0)
