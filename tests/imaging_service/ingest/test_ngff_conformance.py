"""OME-Zarr plates, valid and not by `ome-zarr-models`: all valid ones are read, others are named."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import zarr
from ome_zarr_models.v04.hcs import HCSAttrs as PlateAttrs04
from ome_zarr_models.v04.image import ImageAttrs as ImageAttrs04
from ome_zarr_models.v04.well import WellAttrs as WellAttrs04
from ome_zarr_models.v05.hcs import HCSAttrs as PlateAttrs05
from ome_zarr_models.v05.image import ImageAttrs as ImageAttrs05
from ome_zarr_models.v05.well import WellAttrs as WellAttrs05
from pydantic import ValidationError

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition

MODELS = {
    "0.4": (PlateAttrs04, WellAttrs04, ImageAttrs04),
    "0.5": (PlateAttrs05, WellAttrs05, ImageAttrs05),
}
KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
SIZES = {"t": 2, "c": 2, "z": 3, "y": 6, "x": 8}


def written(version, axes="czyx"):
    """Metadata of a plate of one well with one field: what is at the plate, the well, the image."""
    plate = {
        "name": "p",
        "rows": [{"name": "A"}, {"name": "B"}],
        "columns": [{"name": "1"}, {"name": "2"}, {"name": "3"}],
        "wells": [{"path": "B/3", "rowIndex": 1, "columnIndex": 2}],
        "field_count": 1,
        "acquisitions": [{"id": 0}],
    }
    well = {"images": [{"path": "0", "acquisition": 0}]}
    scale = [0.5 if a in "yx" else 1.0 for a in axes]
    multiscale = {
        "axes": [
            {"name": a, "type": KINDS[a], **({"unit": "micrometer"} if a in "zyx" else {})}
            for a in axes
        ],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        ],
    }
    image = {
        "multiscales": [multiscale],
        "omero": {
            "channels": [
                {
                    "label": n,
                    "color": "FFFFFF",
                    "window": {"start": 0, "end": 9, "min": 0, "max": 9},
                }
                for n in ("DAPI", "TUBB3")[: SIZES["c"] if "c" in axes else 1]
            ]
        },
    }
    parts = {"plate": {"plate": plate}, "well": {"well": well}, "image": image}
    plate["version"] = version
    if version == "0.4":
        well["version"] = multiscale["version"] = version
    else:
        for part in parts.values():
            part["version"] = version
    return parts


def store(folder, version, parts, axes):
    """The plate as a zarr store of its version; each pixel has a value of its own."""
    number = 2 if version == "0.4" else 3
    root = zarr.open_group(folder, mode="w", zarr_format=number)
    groups = (root, root.create_group("B/3"), root.create_group("B/3/0"))
    shape = tuple(SIZES[a] for a in axes)
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    array = groups[2].create_array("0", shape=shape, dtype=pixels.dtype, chunks=shape)
    array[...] = pixels
    for group, part in zip(groups, parts.values(), strict=True):
        for key, value in part.items() if number == 2 else [("ome", part)]:
            group.attrs[key] = value
    return folder, pixels


def is_valid(version, parts):
    """Whether ome-zarr-models accepts the plate, its well and its image."""
    try:
        for model, part in zip(MODELS[version], parts.values(), strict=True):
            model.model_validate(part)
    except (ValidationError, ValueError):
        return False
    return True


def changed(parts, change):
    parts = copy.deepcopy(parts)
    change(parts["plate"]["plate"], parts["well"]["well"], parts["image"])
    return parts


def dataset(image):
    return image["multiscales"][0]["datasets"][0]


VALID = {
    "as it is": lambda plate, well, image: None,
    "no omero": lambda plate, well, image: image.pop("omero"),
    "no name of the plate": lambda plate, well, image: plate.pop("name"),
    "no acquisitions": lambda plate, well, image: (
        plate.pop("acquisitions"),
        well["images"][0].pop("acquisition"),
    ),
    "no field count": lambda plate, well, image: plate.pop("field_count"),
    "a translation": lambda plate, well, image: dataset(image)["coordinateTransformations"].append(
        {"type": "translation", "translation": [3.0] * len(image["multiscales"][0]["axes"])}
    ),
    "a scale of the whole": lambda plate, well, image: image["multiscales"][0].update(
        coordinateTransformations=[
            {"type": "scale", "scale": [1.0] * len(image["multiscales"][0]["axes"])}
        ]
    ),
    "a name and a type": lambda plate, well, image: image["multiscales"][0].update(
        name="n", type="gaussian", metadata={"any": "thing"}
    ),
}
INVALID = {
    "no wells": lambda plate, well, image: plate.pop("wells"),
    "a path that is no well": lambda plate, well, image: plate["wells"][0].update(path="B-3"),
    "indices of another well": lambda plate, well, image: plate["wells"][0].update(rowIndex=0),
    "a row that is not listed": lambda plate, well, image: plate.update(rows=[{"name": "A"}]),
    "two rows of one name": lambda plate, well, image: plate.update(
        rows=[{"name": "A"}, {"name": "A"}, {"name": "B"}]
    ),
    "no images of the well": lambda plate, well, image: well.pop("images"),
    "an image without path": lambda plate, well, image: well["images"][0].pop("path"),
    "no multiscales": lambda plate, well, image: image.pop("multiscales"),
    "no datasets": lambda plate, well, image: image["multiscales"][0].update(datasets=[]),
    "no axes": lambda plate, well, image: image["multiscales"][0].pop("axes"),
    "an axis too few": lambda plate, well, image: image["multiscales"][0]["axes"].pop(0),
    "an axis twice": lambda plate, well, image: image["multiscales"][0]["axes"][0].update(
        image["multiscales"][0]["axes"][-1]
    ),
    "a dataset without path": lambda plate, well, image: dataset(image).pop("path"),
    "no transformation": lambda plate, well, image: dataset(image).pop("coordinateTransformations"),
    "a scale too short": lambda plate, well, image: dataset(image).update(
        coordinateTransformations=[{"type": "scale", "scale": [0.5]}]
    ),
    "two scales": lambda plate, well, image: dataset(image).update(
        coordinateTransformations=dataset(image)["coordinateTransformations"] * 2
    ),
    "a translation only": lambda plate, well, image: dataset(image).update(
        coordinateTransformations=[
            {"type": "translation", "translation": [0.0] * len(image["multiscales"][0]["axes"])}
        ]
    ),
    "a translation before the scale": lambda plate, well, image: dataset(image)[
        "coordinateTransformations"
    ].insert(
        0, {"type": "translation", "translation": [0.0] * len(image["multiscales"][0]["axes"])}
    ),
    "a scale in words": lambda plate, well, image: dataset(image).update(
        coordinateTransformations=[
            {"type": "scale", "scale": ["one"] * len(image["multiscales"][0]["axes"])}
        ]
    ),
}
# The specification forbids it, and ome-zarr-models accepts it.
UNSEEN = {"indices of another well"}


@pytest.mark.parametrize("version", MODELS)
@pytest.mark.parametrize("axes", ["yx", "cyx", "zyx", "czyx", "tcyx", "tczyx"])
def test_every_order_of_axes_is_read(tmp_path, version, axes):
    parts = written(version, axes)
    assert is_valid(version, parts)
    folder, pixels = store(tmp_path / "p.zarr", version, parts, axes)
    plan = plan_scan(folder, Acquisition())
    assert plan.pixel_size_um == 0.5
    assert len(plan.images) == pixels[..., 0, 0].size
    for image in plan.images:
        place = {"t": image.time - 1, "c": plan.channels.index(image.channel), "z": image.z - 1}
        index = tuple(place[a] for a in axes if a not in "yx")
        plane = reader_named("ome-zarr").read(plan, image, Limits())
        assert (plane == pixels[index]).all()


@pytest.mark.parametrize("version", MODELS)
@pytest.mark.parametrize("change", VALID)
def test_all_valid_plates_are_read(tmp_path, version, change):
    parts = changed(written(version), VALID[change])
    assert is_valid(version, parts)
    folder, pixels = store(tmp_path / "p.zarr", version, parts, "czyx")
    plan = plan_scan(folder, Acquisition())
    assert (len(plan.images), plan.broken, plan.missing) == (6, (), ())
    assert plan.pixel_size_um == 0.5
    read = [reader_named("ome-zarr").read(plan, i, Limits()) for i in plan.images]
    assert (np.stack(read).reshape(pixels.shape) == pixels).all()


@pytest.mark.parametrize("version", MODELS)
@pytest.mark.parametrize("change", INVALID)
def test_invalid_plates_are_refused_or_their_fault_is_named(tmp_path, version, change):
    parts = changed(written(version), INVALID[change])
    assert is_valid(version, parts) == (change in UNSEEN)
    folder, _ = store(tmp_path / "p.zarr", version, parts, "czyx")
    try:
        plan = plan_scan(folder, Acquisition())
    except ScanError as refused:
        assert str(folder) in str(refused)
        return
    # Read all the same, with a remark; or its size is asked for.
    assert plan.notes or plan.findings or plan.pixel_size_um is None
