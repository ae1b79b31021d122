"""Label images of a run as OME-Zarr labels: FIELD/labels/COMPARTMENT of each well.

They are stored apart from the plate's pixels. Readers of OME-Zarr list the labels of an image, and
some know a field only by arrays that lie in its own folder. So a field without pixels of its own
shows the labels of one compartment as its image: the files of their arrays under a second name,
which take no space and no time to pack.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from imaging_service.errors import StoreError, damaged
from imaging_service.files import link, remove
from imaging_service.review.field_image import audit
from imaging_service.review.log import GRAPH
from imaging_service.store.plates import (
    VERSION,
    corner_um,
    frame_of,
    levels_of,
    multiscales,
    well_path,
)
from imaging_service.store.shards import create_array
from plate_maps import Well


class LabelWriter:
    """Write a well's labels frame by frame, so that a long time-lapse need not fit in memory.

    `folder` becomes the well's group. `frames` is the number of time points: with 1 (a fixed assay)
    labels are (Y, X), otherwise (T, Y, X), with `hours` of the time points. `centres` are those of
    fields that overlap, as `write_well` has them: labels lie where their pixels lie.
    """

    def __init__(
        self,
        folder: Path,
        pixel_size_um: float,
        version: int,
        frames: int = 1,
        hours: Sequence[float] = (),
        centres: Mapping[int, tuple[int, int]] | None = None,
    ) -> None:
        self._pixel_size_um, self._frames, self._hours = pixel_size_um, frames, hours
        self._centres = centres or {}
        self._folder = folder
        self._well = zarr.open_group(folder, mode="w", zarr_format=3)
        self._well.attrs["motor_neuron"] = {"label_version": version}
        self._arrays: dict[tuple[int, str], list[Any]] = {}
        self._written: dict[tuple[int, str], set[int]] = {}
        self._fields: dict[int, Any] = {}

    def write(self, field: int, labels: Mapping[str, NDArray[np.int32]], frame: int = 1) -> None:
        """Compartment ► (Y, X) labels of one field and time point, both counted from 1."""
        if field not in self._fields:
            self._fields[field] = self._well.create_group(f"{field - 1}/labels")
        for name, image in labels.items():
            key = (field, name)
            levels = _lines(image) if name == GRAPH else levels_of(image, labels=True)
            if key not in self._arrays:
                group = self._fields[field].create_group(name)
                place = self._folder / str(field - 1) / "labels" / name
                lead = (self._frames,) if self._frames > 1 else ()
                axes = "tyx"[-2 - len(lead) :]
                self._arrays[key] = [
                    create_array(place / str(n), (*lead, *level.shape), level.dtype, axes)
                    for n, level in enumerate(levels)
                ]
                group.attrs["ome"] = {
                    "version": VERSION,
                    "multiscales": self._scales(name, field, self._arrays[key]),
                    "image-label": {"version": VERSION},
                }
            for array, level in zip(self._arrays[key], levels, strict=True):
                array[(frame - 1,) if self._frames > 1 else ()] = level
            self._written.setdefault(key, set()).add(frame)

    def finish(self) -> None:
        """Name fields and labels, fill missing time points with 0, and audit every array.

        A time point is missing where a compartment was not segmented in it.
        """
        for field, group in self._fields.items():
            group.attrs["ome"] = {
                "version": VERSION,
                "labels": [name for f, name in self._arrays if f == field],
            }
        fields = sorted({f for f, _ in self._arrays})
        self._well.attrs["ome"] = {
            "version": VERSION,
            "well": {"images": [{"path": str(f - 1), "acquisition": 0} for f in fields]},
        }
        for (field, name), arrays in self._arrays.items():
            for level, array in enumerate(arrays):
                for frame in set(range(1, self._frames + 1)) - self._written[field, name]:
                    array[frame - 1] = np.zeros(array.shape[1:], array.dtype)
                audit(array, f"labels {name}, field {field}, level {level}")
        for field in fields:
            show(self._folder / str(field - 1))

    def _scales(self, name: str, field: int, levels: Sequence[Any]) -> list[dict[str, Any]]:
        """The multiscales entry of a field's levels."""
        return multiscales(
            name,
            len(levels),
            self._pixel_size_um,
            "tyx"[-len(levels[0].shape) :],
            self._hours,
            corner_um(self._centres, field, levels[0].shape, self._pixel_size_um),
        )


def show(field: Path) -> None:
    """Make the folder of a stored field an image: its labels of the first compartment.

    Called again, it shows the labels of now.
    """
    names = _ome(field / "labels")["labels"]
    name = next((n for n in names if n != GRAPH), names[0])
    shown = _ome(field / "labels" / name)["multiscales"]
    for dataset in shown[0]["datasets"]:
        level = field / dataset["path"]
        remove(level)
        shutil.copytree(field / "labels" / name / dataset["path"], level, copy_function=link)
    shown[0]["name"] = f"{name} of field {int(field.name) + 1}"
    zarr.open_group(field, mode="a").attrs["ome"] = {"version": VERSION, "multiscales": shown}


def _ome(group: Path) -> Any:
    return json.loads((group / "zarr.json").read_bytes())["attributes"]["ome"]


def _lines(image: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """Levels of lines that are one pixel wide: nearest pixels would break them, so maxima are kept.

    There are as many as of every other label of the field, as its readers expect.
    """
    levels = [image]
    for _ in levels_of(image, labels=True)[1:]:
        height, width = levels[-1].shape
        even = np.pad(levels[-1], ((0, height % 2), (0, width % 2)))
        blocks = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2)
        levels.append(np.ascontiguousarray(blocks.max(axis=(1, 3))))
    return levels


def read_labels(
    folder: Path, well: Well, field: int, frame: int = 1
) -> dict[str, NDArray[np.int32]]:
    """Compartment ► labels of a stored field and time point, both counted from 1.

    Raises StoreError.
    """
    where = f"{well_path(well)}/{field - 1}/labels"
    with damaged(StoreError, f"{folder.name}/{where}"):
        group = zarr.open_group(folder / where, mode="r")
        ome: Any = group.attrs["ome"]
        labels = {}
        for name in (n for n in ome["labels"] if n != GRAPH):
            array: Any = group[f"{name}/0"]
            audit(array, f"{where}/{name}")
            labels[name] = np.asarray(frame_of(array, 2, frame, f"{where}/{name}"), np.int32)
        return labels
