"""Fields as napari layers, and the reader that opens a run's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imaging_service.client import FieldImage
from napari_plugin.session import ReviewSession

LayerData = tuple[Any, dict[str, Any], str]

_COLOURS = {"dna": "blue", "neurite": "green", "aggregate": "red", "identity": "yellow", "death": "gray"}


def field_layers(image: FieldImage) -> list[LayerData]:
    """One image layer a channel and one labels layer a compartment, scaled in µm."""
    scale = (image.pixel_size_um, image.pixel_size_um)
    layers: list[LayerData] = []
    for plane, name, role in zip(image.pixels, image.channels, image.roles, strict=True):
        low, high = (float(v) for v in np.percentile(plane[::4, ::4], [1, 99.8]))
        layers.append(
            (
                plane,
                {
                    "name": name, "scale": scale, "units": ("µm", "µm"), "colormap": _COLOURS.get(role or "", "gray"), "blending": "additive",
                    "contrast_limits": (low, max(high, low + 1)), "visible": role is not None,
                },
                "image",
            )
        )  # fmt: skip
    for name, labels in image.labels.items():
        layers.append(
            (
                labels,
                {"name": name, "scale": scale, "units": ("µm", "µm"), "opacity": 0.6, "visible": name != "neurites"},
                "labels",
            )
        )
    return layers


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """npe2 reader: takes the folder of a run, nothing else."""
    if isinstance(path, list) or not (Path(path) / "run.json").is_file():
        return None
    return _read


def _read(path: str | list[str]) -> list[LayerData]:
    session = ReviewSession.open(Path(path if isinstance(path, str) else path[0]))
    return field_layers(session.image())
