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
from imaging_service.review.neurites import NEURITES
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
# Outlines leave the pixels to be judged; puncta are little more than an outline. The neurites' mask
# is shown by its graph until it is traced.
_OUTLINED = {"nuclei": 2, "somas": 2, NEURITES: 1}


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
        settings = {"name": name, **place, "opacity": 0.7, "visible": name != NEURITES}
        if name == NEURITES:
            settings |= {"colormap": _one_colour(), "opacity": 1.0}
        # A copy: napari paints into the array that it is given.
        layers.append((labels.copy(), settings, "labels"))
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


def _one_colour() -> Any:
    """The colour of a mask, whichever number a brush paints it with."""
    from napari.utils.colormaps import DirectLabelColormap

    return DirectLabelColormap(color_dict={0: "transparent", None: "orange"})


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
    They are known as the objects that they are: a reviewer may rename, remove or duplicate a layer,
    or make one of the same name.
    """

    def __init__(self, viewer: Any, added: Callable[[Any], None]) -> None:
        self._layers, self._viewer, self._added = viewer.layers, viewer, added
        # By the names that `field_layers` gives.
        self._of: dict[str, Any] = {}
        # Labels layers of other origin, and what they held when they were looked at.
        self._seen: list[tuple[Any, NDArray[Any]]] = []
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
            layer = self._of.get(name)
            if layer is None or layer not in self._layers:
                layer = self._of[name] = getattr(self._viewer, f"add_{kind}")(data, **settings)
                if kind == "labels" and name in _OUTLINED:
                    layer.contour = _OUTLINED[name]
                if kind == "labels":
                    layer.selected_label = 0
                self._added(layer)
                continue
            if kind == "labels":
                # A brush that stays armed, or a number picked on another field, would change this
                # one by a stray click or key. First: the new labels' type may be too narrow for it.
                layer.mode, layer.selected_label = "pan_zoom", 0
                _put(layer, image)
            layer.data = data
        if image.frames > 1:
            self._viewer.dims.axis_labels = ("time point", "y", "x")
            # napari begins a new time axis in its middle.
            self._viewer.dims.set_current_step(0, image.frame - 1)
        self._seen = [(layer, layer.data.copy()) for layer in self._others(image)]
        self.laid = image

    def clear(self) -> None:
        """Remove the field's layers; those of the reviewer stay."""
        self.laid = None
        for layer in self._of.values():
            if layer in self._layers:
                self._layers.remove(layer)
        self._of, self._seen = {}, []

    def relabel(self, image: FieldImage | None) -> None:
        """The labels as they are after a correction; the pixels stay."""
        for name, labels in ({} if image is None else image.labels).items():
            layer = self._of.get(name)
            if layer is None or np.array_equal(layer.data, labels):
                continue
            if layer.selected_label > np.iinfo(labels.dtype).max:
                layer.selected_label = 0
            layer.data = labels.copy()
        self.laid = image

    def take(self, image: FieldImage) -> dict[str, NDArray[np.integer[Any]]]:
        """What the field's labels layers hold.

        Raises ValueError where something was painted that would be lost or saved in another place
        than it was seen. What can be put right is put right first, and what is on other layers is
        named once, so that the reviewer can look and go on.
        """
        faults = []
        for name, labels in image.labels.items():
            layer = self._of[name]
            if name == NEURITES and (layer.data > 1).any():
                # A mask, whichever number the brush had.
                layer.data = (layer.data > 0).astype(layer.data.dtype)
            painted = not np.array_equal(layer.data, labels)
            if layer not in self._layers:
                self._layers.append(layer)
                if painted:
                    faults.append(
                        f"the layer of {name} was removed with labels that were not saved, and is"
                        " back"
                    )
            if _put(layer, image) and painted:
                faults.append(
                    f"the layer of {name} was moved over the pixels, and is back in its place with"
                    " what was painted on it"
                )
        saved = ", ".join(self._of[name].name for name in image.labels)
        faults += [
            f"“{layer.name}” is none of the field's layers ({saved}), so what is on it is not"
            " saved; it stays as it is"
            for layer in self._others(image)
            if self._holds_new(layer, image)
        ]
        self._seen = [(layer, layer.data.copy()) for layer in self._others(image)]
        if faults:
            raise ValueError(
                f"{'; '.join(faults)}. Nothing was saved: look, and press the key again to go on,"
                " or Z to take back what is not saved"
            )
        return {name: np.asarray(self._of[name].data) for name in image.labels}

    def _others(self, image: FieldImage) -> list[Any]:
        """Labels layers in memory that are not saved: the reviewer's, and the neurite graph."""
        saved = [self._of.get(name) for name in image.labels]
        return [
            layer
            for layer in self._layers
            if hasattr(layer, "selected_label")
            and isinstance(layer.data, np.ndarray)
            and not any(layer is other for other in saved)
        ]

    def _holds_new(self, layer: Any, image: FieldImage) -> bool:
        """Whether a layer holds what it did not hold when it was last looked at.

        A new layer is looked at for the first time: it is empty, or a copy of the field's.
        """
        for known, held in self._seen:
            if known is layer:
                return not np.array_equal(layer.data, held)
        copies = [self._of[name].data for name in image.labels] + list(image.labels.values())
        return bool(layer.data.any()) and not any(np.array_equal(layer.data, c) for c in copies)

    def keep_aside(
        self, image: FieldImage, painted: dict[str, NDArray[np.integer[Any]]], where: str
    ) -> None:
        """Keep refused labels as hidden layers, so that what was painted is not lost."""
        active = self._layers.selection.active
        for name, labels in painted.items():
            if not np.array_equal(labels, image.labels[name]):
                layer = self._of[name]
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
            not np.array_equal(self._of[n].data, d)
            for n, d in image.labels.items()
            if n in self._of
        )

    def select(self, name: str) -> Any:
        """Select one of the field's layers, which is returned."""
        if self._of[name] not in self._layers:
            self._layers.append(self._of[name])
        self._layers.selection.active = self._of[name]
        return self._of[name]

    def select_number(self, names: Sequence[str], number: int) -> None:
        """Let the labels layers paint with a number, which may be wider than their type."""
        for name in names:
            layer = self._of[name]
            if number > np.iinfo(layer.data.dtype).max:
                layer.data = layer.data.astype(np.int32)
            layer.selected_label = number

    def show_neurites(self) -> Any:
        """Show the neurites as they are corrected, and hide the graph of the last measurement."""
        layer = self.select(NEURITES)
        layer.visible = True
        if GRAPH_LAYER in self._of:
            self._of[GRAPH_LAYER].visible = False
        return layer

    def name_of(self, layer: Any) -> str:
        """The name that the field gives a layer; empty for one that is not the field's."""
        return next((name for name, known in self._of.items() if known is layer), "")

    def toggle_outlines(self) -> None:
        """Show the selected labels layer as outlines or as areas."""
        layer = self._layers.selection.active
        if layer is not None and hasattr(layer, "contour"):
            layer.contour = 0 if layer.contour else 2

    def toggle_graph(self) -> None:
        """Hide the neurite graph, or show it."""
        if GRAPH_LAYER in self._of:
            self._of[GRAPH_LAYER].visible = not self._of[GRAPH_LAYER].visible

    def under_cursor(self, names: Sequence[str]) -> tuple[Any, int, tuple[float, float]]:
        """The selected layer, the label under the cursor, and the place in the layer's pixels.

        The label is 0 unless the layer is the field's layer of one of `names`.
        """
        layer = self._layers.selection.active
        if layer is None or self.name_of(layer) not in names:
            return layer, 0, (0.0, 0.0)
        y, x = (float(v) for v in layer.world_to_data(self._viewer.cursor.position[-2:])[-2:])
        height, width = layer.data.shape[-2:]
        inside = 0 <= round(y) < height and 0 <= round(x) < width
        return layer, int(layer.data[round(y), round(x)]) if inside else 0, (y, x)


def _put(layer: Any, image: FieldImage) -> bool:
    """Put a labels layer where the field's labels lie; False where it lies there already.

    Nothing is set without need: setting it draws the outlines again.
    """
    px, (top, left) = image.pixel_size_um, image.origin
    corners = [(0.0, 0.0), (0.0, 1000.0), (1000.0, 0.0)]
    lies = [tuple(layer.data_to_world(corner))[-2:] for corner in corners]
    if np.allclose(lies, [(px * (y + top), px * (x + left)) for y, x in corners]):
        return False
    layer.affine, layer.rotate, layer.shear = np.eye(3), 0.0, [0.0]
    layer.scale, layer.translate = (px, px), (px * top, px * left)
    return True


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
