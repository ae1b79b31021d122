"""What another project's reader sees in plates and their labels, as JSON.

    python opened.py READER FOLDER…

A FOLDER has `plate.zarr` and `labels.zarr`. It runs in the environment of these readers, without
this project. Pixels are told by the SHA-256 of the array without axes of length 1.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def digest(pixels: Any) -> str:
    array = np.ascontiguousarray(np.squeeze(np.asarray(pixels)))
    return hashlib.sha256(f"{array.shape} {array.dtype} ".encode() + array.tobytes()).hexdigest()


def ome(group: Path) -> Any:
    return json.loads((group / "zarr.json").read_bytes())["attributes"]["ome"]


def fields(store: Path) -> list[str]:
    """Paths of the fields that the store's own metadata name, such as B/3/0."""
    wells = [well["path"] for well in ome(store)["plate"]["wells"]]
    return [f"{w}/{i['path']}" for w in wells for i in ome(store / w)["well"]["images"]]


def labels_of(labels: Path, field: str) -> list[str]:
    return [f"{field}/labels/{name}" for name in ome(labels / field / "labels")["labels"]]


def nothing() -> dict[str, Any]:
    return {"pixels": {}, "labels": {}, "sizes": set(), "channels": set()}


def bioio(plate: Path, labels: Path) -> dict[str, Any]:
    from bioio_ome_zarr import Reader

    seen = nothing()
    for field in fields(plate):
        image = Reader(plate / field)
        seen["pixels"][field] = digest(image.data)
        seen["sizes"].add(tuple(image.physical_pixel_sizes)[1:])
        seen["channels"].add(tuple(image.channel_names))
        for label in labels_of(labels, field):
            image = Reader(labels / label)
            seen["labels"][label] = digest(image.data)
            seen["sizes"].add(tuple(image.physical_pixel_sizes)[1:])
    return seen


def iohub(plate: Path, labels: Path) -> dict[str, Any]:
    from iohub import open_ome_zarr

    seen = nothing()
    with open_ome_zarr(plate, mode="r") as opened:
        for field, position in opened.positions():
            seen["pixels"][field] = digest(position.data[:])
            seen["sizes"].add(tuple(position.scale[-2:]))
            seen["channels"].add(tuple(position.channel_names))
    for field in fields(labels):
        # It follows no path of a level into a folder, and so shows no field of `labels.zarr`.
        for label in labels_of(labels, field):
            with open_ome_zarr(labels / label, mode="r") as position:
                seen["labels"][label] = digest(position.data[:])
                seen["sizes"].add(tuple(position.scale[-2:]))
    return seen


def ome_zarr_py(plate: Path, labels: Path) -> dict[str, Any]:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    def levels(place: Path) -> list[Any]:
        return [node for node in Reader(parse_url(place))() if node.data]

    def size(node: Any) -> tuple[float, ...]:
        return tuple(node.metadata["coordinateTransformations"][0][0]["scale"][-2:])

    seen = nothing()
    for field in fields(plate):
        (image,) = levels(plate / field)
        seen["pixels"][field] = digest(image.data[0])
        seen["sizes"].add(size(image))
        seen["channels"].add(tuple(image.metadata["channel_names"]))
        # The labels of a field are those that it lists.
        for node in levels(labels / field)[1:]:
            name = f"{field}/labels/{node.zarr.basename()}"
            seen["labels"][name] = digest(node.data[0])
            seen["sizes"].add(size(node))
    (whole,) = levels(plate)
    return seen | {"plate": corners(plate, whole.data[0])}


def napari_ome_zarr(plate: Path, labels: Path) -> dict[str, Any]:
    from napari_ome_zarr import napari_get_reader

    def layers(place: Path, kind: str) -> list[tuple[Any, dict[str, Any]]]:
        reader = napari_get_reader(str(place))
        return [
            (data[0] if isinstance(data, list) else data, shown)
            for data, shown, layer in reader(str(place))
            if layer == kind
        ]

    def together(place: Path) -> Any:
        """The channels of an image, which it gives as one layer or as one each."""
        shown = layers(place, "image")
        if "channel_axis" in shown[0][1]:
            return shown[0][0]
        axis = shown[0][0].ndim - 2
        return np.stack([np.asarray(data) for data, _ in shown], axis=axis)

    seen = nothing()
    for field in fields(plate):
        seen["pixels"][field] = digest(together(plate / field))
        shown = layers(plate / field, "image")
        names = [
            n for _, s in shown for n in ([s["name"]] if "channel_axis" not in s else s["name"])
        ]
        seen["channels"].add(tuple(str(name).split(": ")[-1] for name in names))
        seen["sizes"] |= {tuple(s["scale"][-2:]) for _, s in shown}
        for data, label in layers(labels / field, "labels"):
            name = f"{field}/labels/{Path(label['name']).name}"
            seen["labels"][name] = digest(data)
            seen["sizes"].add(tuple(label["scale"][-2:]))
    return seen | {"plate": corners(plate, together(plate))}


def corners(plate: Path, stitched: Any) -> dict[str, str]:
    """What of a stitched plate lies where the first field of each well belongs."""
    pixels, form = np.asarray(stitched), ome(plate)["plate"]
    height, width = pixels.shape[-2] // len(form["rows"]), pixels.shape[-1] // len(form["columns"])
    shown = {}
    for well in form["wells"]:
        y, x = well["rowIndex"] * height, well["columnIndex"] * width
        shown[f"{well['path']}/0"] = digest(pixels[..., y : y + height, x : x + width])
    return shown


if __name__ == "__main__":
    read = globals()[sys.argv[1]]
    seen = {
        name: read(Path(name) / "plate.zarr", Path(name) / "labels.zarr") for name in sys.argv[2:]
    }
    print(json.dumps(seen, default=lambda values: sorted(values)))
