"""A well's task whose scan is a handful of pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tifffile

from imaging_service.ingest.images.digests import file_digests
from imaging_service.ingest.plan import ImageRef, PlatePlan
from imaging_service.jobs.records import WellTask
from imaging_service.protocol import parse_protocol
from plate_maps import Well

SURVIVAL = {"survival": {"definition": "rounding"}, "acquisition": {"frame_interval_h": 6}}


def stack_task(folder, planes, *, more=None, times=(1,), missing=()):
    """A task of well B02 whose images are `planes`: (field, time, channel, z) ► pixels."""
    images = []
    for (field, time, channel, z), pixels in planes.items():
        name = f"B02_{field}_{time}_{channel}_{z}.tif"
        tifffile.imwrite(folder / name, pixels)
        images.append(
            ImageRef(
                Well(2, 2), field, time, channel, z, name, exposed_s=3600.0 * (10 * field + time)
            )
        )
    plan = PlatePlan("tiff", "p", folder, ("1", "2"), 0.5, None, tuple(sorted(images)), (), missing)
    counts = {
        c: max(
            sum(1 for f, t, name, _ in planes if (f, t, name) == (field, time, c))
            for field, time, _, _ in planes
        )
        for c in ("1", "2")
    }
    protocol = parse_protocol(
        {
            "name": "p",
            "channels": {"dna": "1", "neurite": "2"},
            "segmentation": {"engine": "classical"},
        }
        | (more or {}),
        "p",
    )
    return WellTask(
        "B02",
        plan,
        0.5,
        ("dna", "neurite"),
        times,
        counts,
        protocol,
        "classical",
        "cpu",
        folder / "plate.zarr",
        file_digests(plan),
    )


def as_if_submitted(task):
    """The task with the digests of its files as they are now."""
    return replace(task, digests=file_digests(task.plan))


def plane(*values):
    return np.array([values], np.uint16)
