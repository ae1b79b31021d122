"""Images and labels of a bundle: arrays copied as they are, every attribute written anew.

An array's own file holds its shape, type and codecs; it is refused if it holds attributes as well.
Groups get the attributes of OME-Zarr 0.5 and of this service that are on the white list here, so
that no path, name or hour of the day that another program left goes along.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from imaging_service.errors import ReleaseRefused, damaged
from imaging_service.store.labels import show
from imaging_service.store.plates import VERSION, begin_plate, finish_plate, well_path
from plate_maps import PlateFormat, Well

_ARRAY_KEYS = {
    "shape",
    "data_type",
    "chunk_grid",
    "chunk_key_encoding",
    "fill_value",
    "codecs",
    "attributes",
    "dimension_names",
    "zarr_format",
    "node_type",
    "storage_transformers",
}
_DATASET = ("path", "coordinateTransformations")
_CHANNEL = ("label", "color", "active", "window")


def copy_pixels(
    run: Path, folder: Path, wells: Collection[str], plate: str, plate_format: Mapping[str, int]
) -> dict[str, Any]:
    """Copy `plate.zarr` and `labels.zarr` of a run, of the named wells only.

    Returns facts about the images: fields, channels, size, time points, labels; none without an
    image of these wells. Raises ReleaseRefused where an array has attributes or a store cannot be
    read.
    """
    form = PlateFormat(plate_format["rows"], plate_format["columns"])
    facts: dict[str, Any] = {"wells": 0, "fields": 0, "channels": [], "labels": [], "shape": []}
    for store in ("plate.zarr", "labels.zarr"):
        places = {name: well_path(Well.parse(name)) for name in sorted(wells)}
        imaged = {n: p for n, p in places.items() if (run / store / p / "zarr.json").is_file()}
        if not imaged:
            continue
        begin_plate(folder / store)
        for name, place in imaged.items():
            _copy_well(run / store / place, folder / store / place, name, facts)
        finish_plate(folder / store, plate, form)
    return facts if facts["wells"] else {}


def _copy_well(source: Path, target: Path, name: str, facts: dict[str, Any]) -> None:
    attributes = _attributes(source)
    version = attributes.get("motor_neuron", {}).get("label_version")
    images = attributes["ome"]["well"]["images"]
    kept: dict[str, Any] = {
        "ome": {"version": VERSION, "well": {"images": [_image_of(i) for i in images]}}
    }
    if version is not None:
        kept["motor_neuron"] = {"label_version": int(version)}
    else:
        facts["wells"] += 1
    _group(target, kept)
    for image in images:
        number = str(int(image["path"]))
        _copy_image(source / number, target / number, name, int(number) + 1, facts)


def _copy_image(source: Path, target: Path, name: str, field: int, facts: dict[str, Any]) -> None:
    attributes = _attributes(source)
    ome, ours_before = attributes.get("ome", {}), attributes.get("motor_neuron", {})
    kept: dict[str, Any] = {"version": VERSION, "multiscales": _scales(ome, f"field {field}")}
    ours: dict[str, Any] = {}
    if "omero" in ome:
        channels = [{k: c[k] for k in _CHANNEL if k in c} for c in ome["omero"]["channels"]]
        kept["omero"] = {"channels": channels}
        facts["channels"] = [c["label"] for c in channels]
        facts["fields"] = max(facts["fields"], field)
    if "roles" in ours_before:
        ours["roles"] = [r if r is None else str(r) for r in ours_before["roles"]]
    if "hours" in ours_before:
        ours["hours"] = [float(h) for h in ours_before["hours"]]
    if "sha256" in ours_before:
        ours |= {"place": [name, field], "sha256": [str(d) for d in ours_before["sha256"]]}
    _group(target, {"ome": kept} | ({"motor_neuron": ours} if ours else {}))
    if (source / "labels" / "zarr.json").is_file():
        _copy_labels(source / "labels", target / "labels", facts)
        show(target)
        return
    for level in kept["multiscales"][0]["datasets"]:
        shape = _copy_array(source / level["path"], target / level["path"])
        facts["shape"] = facts["shape"] or shape


def _copy_labels(source: Path, target: Path, facts: dict[str, Any]) -> None:
    names = [str(n) for n in _attributes(source)["ome"]["labels"]]
    _group(target, {"ome": {"version": VERSION, "labels": names}})
    facts["labels"] = names
    for name in names:
        ome = _attributes(source / name)["ome"]
        scales = _scales(ome, name)
        _group(
            target / name,
            {
                "ome": {
                    "version": VERSION,
                    "multiscales": scales,
                    "image-label": {"version": VERSION},
                }
            },
        )
        for level in scales[0]["datasets"]:
            _copy_array(source / name / level["path"], target / name / level["path"])


def _image_of(image: Mapping[str, Any]) -> dict[str, Any]:
    return {"path": str(int(image["path"])), "acquisition": 0}


def _scales(ome: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    (scale,) = ome["multiscales"]
    axes = [{k: str(a[k]) for k in ("name", "type", "unit") if k in a} for a in scale["axes"]]
    datasets = [{k: d[k] for k in _DATASET if k in d} for d in scale["datasets"]]
    return [{"name": name, "axes": axes, "datasets": datasets}]


def _attributes(folder: Path) -> dict[str, Any]:
    with damaged(ReleaseRefused, str(folder)):
        content: dict[str, Any] = json.loads((folder / "zarr.json").read_bytes())
        attributes: dict[str, Any] = content["attributes"]
        return attributes


def _group(folder: Path, attributes: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"attributes": attributes, "zarr_format": 3, "node_type": "group"}
    (folder / "zarr.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def _copy_array(source: Path, target: Path) -> list[int]:
    with damaged(ReleaseRefused, str(source)):
        content: dict[str, Any] = json.loads((source / "zarr.json").read_bytes())
    if content.get("attributes") or set(content) - _ARRAY_KEYS:
        raise ReleaseRefused(
            f"{source} has attributes that this service did not write; convert the scan again"
        )
    target.mkdir(parents=True, exist_ok=True)
    (target / "zarr.json").write_text(json.dumps(content), encoding="utf-8")
    for chunk in sorted(path for path in source.rglob("*") if path.is_file()):
        place = chunk.relative_to(source)
        if chunk.name == "zarr.json":
            continue
        if not all(part.isdigit() or part == "c" for part in place.parts):
            raise ReleaseRefused(f"{chunk} is not a chunk of a zarr array; take it out")
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(chunk, target / place)
    return [int(n) for n in content["shape"]]
