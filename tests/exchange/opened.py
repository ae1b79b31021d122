"""What another project's reader sees in plates and their labels, as JSON.

    python opened.py READER FOLDER…

A FOLDER has `plate.zarr` and `labels.zarr`. It runs in the environment of these readers, without
this project. Pixels are told by the SHA-256 of the array without axes of length 1: `pixels` of the
plate's fields, `shown` of the fields of `labels.zarr` opened as images, `labels` of their labels.
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
    return {"pixels": {}, "shown": {}, "labels": {}, "sizes": set(), "channels": set()}


def bioio(plate: Path, labels: Path) -> dict[str, Any]:
    from bioio_ome_zarr import Reader

    seen = nothing()
    for field in fields(plate):
        image = Reader(plate / field)
        seen["pixels"][field] = digest(image.data)
        seen["sizes"].add(tuple(image.physical_pixel_sizes)[1:])
        seen["channels"].add(tuple(image.channel_names))
        seen["shown"][field] = digest(Reader(labels / field).data)
        for label in labels_of(labels, field):
            image = Reader(labels / label)
            seen["labels"][label] = digest(image.data)
            seen["sizes"].add(tuple(image.physical_pixel_sizes)[1:])
    # It takes the root of a plate for an image, too.
    return seen | {"scenes": [scene for store in (plate, labels) for scene in Reader(store).scenes]}


def iohub(plate: Path, labels: Path) -> dict[str, Any]:
    from iohub import open_ome_zarr

    seen = nothing()
    with open_ome_zarr(plate, mode="r") as opened:
        for field, position in opened.positions():
            seen["pixels"][field] = digest(position.data[:])
            seen["sizes"].add(tuple(position.scale[-2:]))
            seen["channels"].add(tuple(position.channel_names))
    with open_ome_zarr(labels, mode="r") as opened:
        for field, position in opened.positions():
            seen["shown"][field] = digest(position.data[:])
            seen["sizes"].add(tuple(position.scale[-2:]))
            # A position knows no labels; each is an image of its own.
            for label in labels_of(labels, field):
                with open_ome_zarr(labels / label, mode="r") as image:
                    seen["labels"][label] = digest(image.data[:])
                    seen["sizes"].add(tuple(image.scale[-2:]))
    return seen


def ngio(plate: Path, labels: Path) -> dict[str, Any]:
    from ngio import open_ome_zarr_plate

    seen = nothing()
    for field, container in open_ome_zarr_plate(plate).get_images().items():
        image = container.get_image()
        seen["pixels"][field] = digest(image.get_as_numpy())
        seen["sizes"].add((image.pixel_size.y, image.pixel_size.x))
        seen["channels"].add(tuple(image.channel_labels))
    for field, container in open_ome_zarr_plate(labels).get_images().items():
        seen["shown"][field] = digest(container.get_image().get_as_numpy())
        for name in container.list_labels():
            label = container.get_label(name)
            seen["labels"][f"{field}/labels/{name}"] = digest(label.get_as_numpy())
            seen["sizes"].add((label.pixel_size.y, label.pixel_size.x))
    return seen


def ome_zarr_models(plate: Path, labels: Path) -> dict[str, Any]:
    """The models check and name what is there; the arrays that they name are zarr's."""
    import zarr
    from ome_zarr_models.v05 import HCS, Image, ImageLabel, Labels

    def first(group: Any, model: Any) -> Any:
        (scales,) = model.from_zarr(group).ome_attributes.multiscales
        (scale, *_) = scales.datasets[0].coordinateTransformations
        seen["sizes"].add(tuple(scale.scale[-2:]))
        return group[scales.datasets[0].path][...]

    seen = nothing()
    for store, part in ((plate, "pixels"), (labels, "shown")):
        root = zarr.open_group(store, mode="r")
        hcs = HCS.from_zarr(root)
        for well, group in zip(hcs.ome_attributes.plate.wells, hcs.well_groups, strict=True):
            for image in group.ome_attributes.well.images:
                field = f"{well.path}/{image.path}"
                seen[part][field] = digest(first(root[field], Image))
                if store == plate:
                    omero = Image.from_zarr(root[field]).ome_attributes.omero
                    seen["channels"].add(tuple(channel["label"] for channel in omero["channels"]))
                    continue
                for name in Labels.from_zarr(root[f"{field}/labels"]).ome_attributes.labels:
                    label = f"{field}/labels/{name}"
                    seen["labels"][label] = digest(first(root[label], ImageLabel))
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
        shown, *listed = levels(labels / field)
        seen["shown"][field] = digest(shown.data[0])
        for node in listed:
            name = f"{field}/labels/{node.zarr.basename()}"
            seen["labels"][name] = digest(node.data[0])
            seen["sizes"].add(size(node))
    wholes = {store.stem: levels(store)[0].data[0] for store in (plate, labels)}
    return seen | {"stitched": {n: corners(plate, whole) for n, whole in wholes.items()}}


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
        seen["shown"][field] = digest(together(labels / field))
        for data, label in layers(labels / field, "labels"):
            name = f"{field}/labels/{Path(label['name']).name}"
            seen["labels"][name] = digest(data)
            seen["sizes"].add(tuple(label["scale"][-2:]))
    wholes = {store.stem: together(store) for store in (plate, labels)}
    return seen | {"stitched": {n: corners(plate, whole) for n, whole in wholes.items()}}


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
