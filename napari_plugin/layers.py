"""Fields as napari layers, and the reader that opens a run's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from imaging_service.review.field_image import FieldImage
from imaging_service.review.local import LocalRun
from napari_plugin.session import ReviewSession

LayerData = tuple[Any, dict[str, Any], str]

GRAPH_LAYER, TRACKS_LAYER = "neurite graph", "tracks"
_COLOURS = {
    "dna": "blue",
    "neurite": "green",
    "aggregate": "red",
    "identity": "yellow",
    "death": "gray",
}
# Outlines leave the pixels to be judged; puncta are little more than an outline, and the neurites'
# mask is shown by its graph.
_OUTLINED = ("nuclei", "somas")


def field_layers(
    image: FieldImage,
    contrast: Sequence[tuple[float, float]],
    tracks: NDArray[np.float64] | None = None,
) -> list[LayerData]:
    """One image layer per channel, one labels layer per compartment, neurite graph and tracks.

    Images are multiscale, places in µm, the time axis of a time-lapse in time points. `contrast` is
    (low, high) per channel.
    """
    px = image.pixel_size_um
    time = (1.0,) if image.frames > 1 else ()
    place = {
        "scale": (px, px),
        "translate": tuple(px * n for n in image.origin),
        "units": ("µm", "µm"),
    }
    layers: list[LayerData] = []
    for c, (name, role, (low, high)) in enumerate(
        zip(image.channels, image.roles, contrast, strict=True)
    ):
        layers.append(
            (
                _channel(image, c),
                {
                    "name": name,
                    "scale": (*time, px, px),
                    "units": (*(("pixel",) if time else ()), "µm", "µm"),
                    "colormap": _COLOURS.get(role or "", "gray"),
                    "blending": "additive",
                    "multiscale": True,
                    "contrast_limits": (low, max(high, low + 1)),
                    "visible": role is not None,
                },
                "image",
            )
        )
    for name, labels in image.labels.items():
        # A copy: napari paints into the array that it is given.
        layers.append(
            (
                labels.copy(),
                {"name": name, **place, "opacity": 0.7, "visible": name != "neurites"},
                "labels",
            )
        )
    blank = np.zeros(next(iter(image.labels.values())).shape, np.uint16)
    layers.append(
        (
            blank if image.graph is None else image.graph,
            {"name": GRAPH_LAYER, **place, "opacity": 0.7},
            "labels",
        )
    )
    if tracks is not None:
        layers.append(
            (
                drawable(tracks),
                {
                    "name": TRACKS_LAYER,
                    "scale": (1.0, 1.0, 1.0),
                    "units": ("pixel", "µm", "µm"),
                    "tail_length": 40,
                },
                "tracks",
            )
        )
    return layers


def drawable(tracks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tracks as napari needs them: at least one."""
    return tracks if len(tracks) else np.array([[0.0, 0.0, 0.0, 0.0]])


def _channel(image: FieldImage, channel: int) -> list[Any]:
    """A channel's levels; those in memory stay there, the others are read when they are shown."""
    levels = [
        level if isinstance(level, np.ndarray) else da.from_zarr(level) for level in image.levels
    ]
    return [level[..., channel, :, :] for level in levels]


class FieldLayers:
    """The layers of the field that is shown.

    They stay from field to field, and with them the contrast and colours that the reviewer chose.
    """

    def __init__(self, viewer: Any, added: Callable[[Any], None]) -> None:
        self._layers, self._viewer, self._added = viewer.layers, viewer, added
        # The field that the layers show, None while they are being exchanged: what was painted is
        # the difference to it.
        self.laid: FieldImage | None = None

    def show(
        self,
        image: FieldImage,
        contrast: Sequence[tuple[float, float]],
        tracks: NDArray[np.float64] | None,
    ) -> None:
        """Show a field in the existing layers; `added` is called with each new one."""
        self.laid = None
        for data, settings, kind in field_layers(image, contrast, tracks):
            name = settings["name"]
            if name not in self._layers:
                layer = getattr(self._viewer, f"add_{kind}")(data, **settings)
                if kind == "labels" and name in _OUTLINED:
                    layer.contour = 2
                if kind == "labels":
                    layer.selected_label = 0
                self._added(layer)
                continue
            layer = self._layers[name]
            layer.data = data
            if kind == "labels":
                # A brush that stays armed, or a number picked on another field, would change this
                # one by a stray click or key.
                layer.mode, layer.selected_label = "pan_zoom", 0
            # Setting it draws the outlines again.
            if not np.array_equal(
                layer.translate[-2:], settings.get("translate", layer.translate[-2:])
            ):
                layer.translate = settings["translate"]
        if image.frames > 1:
            self._viewer.dims.axis_labels = ("time point", "y", "x")
            # napari begins a new time axis in its middle.
            self._viewer.dims.set_current_step(0, image.frame - 1)
        self.laid = image

    def relabel(self, image: FieldImage | None) -> None:
        """The labels as they are after a correction; the pixels stay."""
        for name, labels in ({} if image is None else image.labels).items():
            if name in self._layers and not np.array_equal(self._layers[name].data, labels):
                self._layers[name].data = labels.copy()
        self.laid = image

    def keep_aside(
        self, image: FieldImage, painted: dict[str, NDArray[np.int32]], where: str
    ) -> None:
        """Keep refused labels as hidden layers, so that what was painted is not lost."""
        active = self._layers.selection.active
        for name, labels in painted.items():
            if not np.array_equal(labels, image.labels[name]):
                layer = self._layers[name]
                self._viewer.add_labels(
                    labels.copy(),
                    name=f"{name}, refused ({where})",
                    scale=layer.scale,
                    translate=layer.translate,
                    units=layer.units,
                    visible=False,
                )
        self._layers.selection.active = active

    def painted(self, image: FieldImage) -> bool:
        """Whether the labels layers differ from the field."""
        return self.laid is image and any(
            not np.array_equal(self._layers[n].data, d)
            for n, d in image.labels.items()
            if n in self._layers
        )

    def toggle_outlines(self) -> None:
        """Show the selected labels layer as outlines or as areas."""
        layer = self._layers.selection.active
        if layer is not None and hasattr(layer, "contour"):
            layer.contour = 0 if layer.contour else 2

    def toggle_graph(self) -> None:
        """Hide the neurite graph, or show it."""
        if GRAPH_LAYER in self._layers:
            self._layers[GRAPH_LAYER].visible = not self._layers[GRAPH_LAYER].visible

    def under_cursor(self, names: Sequence[str]) -> tuple[Any, int, tuple[float, float]]:
        """The selected layer, the label under the cursor, and the place in the layer's pixels.

        The label is 0 unless the layer is one of `names`.
        """
        layer = self._layers.selection.active
        if layer is None or layer.name not in names:
            return layer, 0, (0.0, 0.0)
        y, x = (float(v) for v in layer.world_to_data(self._viewer.cursor.position[-2:])[-2:])
        height, width = layer.data.shape[-2:]
        inside = 0 <= round(y) < height and 0 <= round(x) < width
        return layer, int(layer.data[round(y), round(x)]) if inside else 0, (y, x)


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """npe2 reader: takes the folder of a run, nothing else."""
    if isinstance(path, list) or not (Path(path) / "run.json").is_file():
        return None
    return _read


def _read(path: str | list[str]) -> list[LayerData]:
    session = ReviewSession(LocalRun(Path(path if isinstance(path, str) else path[0])))
    try:
        return field_layers(session.image(), session.contrast(), session.tracks())
    finally:
        session.close()
