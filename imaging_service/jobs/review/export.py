"""Reviewed fields as files, for training and for others: `review export`.

    OUT/fields.csv             one row per field and time point: what, whose labels, consent
    OUT/fields/ID/pixels.tif   all channels as the camera gave them (C, Y, X), OME-TIFF
    OUT/fields/ID/nuclei.tif   labels (Y, X): likewise somas, neurites, puncta, granules
    OUT/fields/ID/record.json  `FieldRecord`: every version and verdict, engine, weights, consent
    OUT/manifest.csv           one row per field whose nuclei a reviewer corrected or accepted
    OUT/images/ID.png          its DNA channel, 16 bit
    OUT/labels/ID.png          its nuclei, 16 bit

ID is a digest of the arrays, so a field that is exported twice is one field. The last three are
what `segmentation.engines.motornet.samples --nuclei` and `bench segmentation --nuclei` read.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from uuid import UUID

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from imaging_service.errors import NotFound, RegistryRefused, StoreError, damaged
from imaging_service.files import write_bytes
from imaging_service.jobs.review.reviewed import FieldRecord, ReviewedField, reviewed_fields
from imaging_service.review.local import LocalRun
from imaging_service.review.log import COMPARTMENTS
from plate_maps.registry import Line, RegistryError, read_lines

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Exported:
    """What an export wrote: fields, fields with nuclei for training, and lines by consent.

    `unknown` are lines whose consent is not known, `no_methods` lines whose consent forbids methods
    research.
    """

    fields: int
    nuclei: int
    unknown: tuple[str, ...]
    no_methods: tuple[str, ...]


def export_training(
    run: str | PathLike[str],
    out: str | PathLike[str],
    lines: Mapping[str, Line] | None = None,
    registry: str = "",
) -> Exported:
    """Write corrected and accepted fields of a run; rejected fields and wells are left out.

    `lines` is the line registry, called `registry`; without it every line's consent is unknown.
    Raises StoreError where there is no such field.
    """
    out = Path(out)
    rows, nuclei, records = [], [], []
    for field in reviewed_fields(LocalRun(run), lines, registry):
        name = _digest([field.pixels, *field.labels.values()])
        _write_field(out / "fields" / name, field, name)
        rows.append(_row(field.record, name, field.labels))
        nuclei += _write_nuclei(out, field)
        records.append(field.record)
    if not rows:
        raise StoreError(
            f"no field of {run} was corrected or accepted, so there is nothing to learn from;"
            " review fields first"
        )
    # Of an earlier export a manifest may lie here whose fields are none of these.
    (out / "manifest.csv").unlink(missing_ok=True)
    if nuclei:
        write_bytes(out / "manifest.csv", _csv(nuclei))
    write_bytes(out / "fields.csv", _csv(rows))
    return Exported(
        len(rows),
        len(nuclei),
        tuple(sorted({r.line for r in records if not r.duo and not r.forbids_methods})),
        tuple(sorted({r.line for r in records if r.forbids_methods})),
    )


def read_registry(path: Path) -> dict[str, Line]:
    """The lines of a registry's file by name. Raises RegistryRefused with every fault."""
    try:
        return read_lines(path.read_text(encoding="utf-8-sig"), path.name)
    except (RegistryError, UnicodeDecodeError) as error:
        raise RegistryRefused(f"{path}: {error}") from error


def read_export(folder: str | PathLike[str]) -> Iterator[ReviewedField]:
    """The fields of an export, in its order. Raises NotFound, StoreError for a damaged file."""
    folder = Path(folder)
    table = folder / "fields.csv"
    if not table.is_file():
        raise NotFound(f"{folder} has no fields.csv; give the --out folder of `review export`")
    with table.open(encoding="utf-8-sig", newline="") as stream:
        names = [row["id"] for row in csv.DictReader(stream)]
    for name in names:
        place = folder / "fields" / name
        with damaged(StoreError, str(place)):
            record = FieldRecord.model_validate_json((place / "record.json").read_bytes())
            pixels = np.asarray(tifffile.imread(place / "pixels.tif"))
            labels = {
                n: np.asarray(tifffile.imread(place / f"{n}.tif"), np.int32) for n in record.labels
            }
            shape = (len(record.channels), record.height, record.width)
            field = ReviewedField(record, pixels.reshape(shape), labels)
        if _digest([field.pixels, *labels.values()]) != name:
            raise StoreError(f"{place}: pixels or labels are not those that were exported")
        yield field


def _write_field(place: Path, field: ReviewedField, name: str) -> None:
    record = field.record
    size = {
        "PhysicalSizeX": record.pixel_size_um,
        "PhysicalSizeY": record.pixel_size_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeYUnit": "µm",
        # tifffile would draw a random one, and the same field would not give the same file.
        "UUID": str(UUID(name[:32])),
    }
    channels = {"axes": "CYX", "Channel": {"Name": record.channels}}
    write_bytes(place / "pixels.tif", _tiff(field.pixels, size | channels))
    for compartment, labels in field.labels.items():
        small = labels.astype(np.uint16 if labels.max(initial=0) < 2**16 else np.uint32)
        write_bytes(place / f"{compartment}.tif", _tiff(small, size | {"axes": "YX"}))
    write_bytes(place / "record.json", record.model_dump_json(indent=1).encode())


def _tiff(image: NDArray[np.generic], metadata: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, image, ome=True, photometric="minisblack", compression="zlib", metadata=metadata
    )
    return stream.getvalue()


def _row(
    record: FieldRecord, name: str, labels: Mapping[str, NDArray[np.int32]]
) -> dict[str, object]:
    count = {n: _count(image) for n, image in labels.items()}
    return {
        "id": name,
        "run_id": record.run_id,
        "plate_name": record.plate_name,
        "well": record.well,
        "field": record.field,
        "frame": record.frame,
        "line": record.line,
        "height": record.height,
        "width": record.width,
        "pixel_size_um": record.pixel_size_um,
        "roles": " ".join(role or "-" for role in record.roles),
        **{n: record.labels.get(n, "") for n in COMPARTMENTS},
        "n_nuclei": count.get("nuclei", ""),
        "n_somas": count.get("somas", ""),
        "neurite_pixels": int((labels["neurites"] > 0).sum()) if "neurites" in labels else "",
        "label_version": record.label_version,
        "accepted_version": record.accepted_version or "",
        "revision": record.revision,
        "authors": "; ".join(record.authors),
        "last_change": max((v.time.isoformat() for v in record.versions), default=""),
        "engine": record.engine,
        "model_digest": record.model_digest,
        "software_version": record.software_version,
        "consent": record.consent or UNKNOWN,
        "duo": " ".join(record.duo) or UNKNOWN,
        "no_methods": "yes" if record.forbids_methods else "no" if record.duo else UNKNOWN,
    }


def _write_nuclei(out: Path, field: ReviewedField) -> list[dict[str, object]]:
    """The DNA channel and its nuclei; none where there are none that a reviewer stands for."""
    record = field.record
    if "dna" not in record.roles or record.labels.get("nuclei", "engine") == "engine":
        return []
    pixels, labels = field.pixels[record.roles.index("dna")], field.labels["nuclei"]
    if labels.max() > np.iinfo(np.uint16).max:
        raise StoreError(
            f"well {record.well}, field {record.field} has labels over {np.iinfo(np.uint16).max},"
            " which a 16 bit image cannot hold"
        )
    name = _digest([pixels, labels])
    for part, array in (("images", _sixteen_bit(pixels)), ("labels", labels.astype(np.uint16))):
        write_bytes(out / part / f"{name}.png", cv2.imencode(".png", array)[1].tobytes())
    row = {
        "id": name,
        "height": labels.shape[0],
        "width": labels.shape[1],
        "n_nuclei": _count(labels),
        "pixel_size_um": record.pixel_size_um,
        "run_id": record.run_id,
        "well": record.well,
        "field": record.field,
        "frame": record.frame,
        "label_version": record.label_version,
        "engine": record.engine,
        "authors": " ".join(record.authors),
        "line": record.line,
        "duo": " ".join(record.duo) or UNKNOWN,
    }
    return [row]


def _count(labels: NDArray[np.int32]) -> int:
    return int(np.count_nonzero(np.bincount(labels.ravel())[1:]))


def _digest(arrays: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _csv(rows: Sequence[Mapping[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _sixteen_bit(pixels: NDArray[np.generic]) -> NDArray[np.uint16]:
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels.astype(np.uint16)
    values = pixels.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    return np.asarray(np.round((values - low) * (65535 / max(high - low, 1e-12))), np.uint16)
