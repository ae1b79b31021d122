"""One plate per disturbance and level, beside the plate that it is compared with.

Target wells are what is read; vehicle wells calibrate the plate; other wells are only there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.phantoms.films import Film
from segmentation.phantoms.render import Optics
from tests.matrix.scenes import OFFSET, Scene, at_pixel_size

Pixels = NDArray[np.uint16]
VEHICLES = tuple(f"{row}{column:02d}" for row in "BC" for column in range(3, 7))
TARGETS, OTHERS, BEFORE = ("D03", "D04"), ("E03", "E04", "E05", "E06"), ("A03", "A04", "A05", "A06")
FIELDS = 2
BASE = Scene()
FULL_SCALE = 6000.0  # grey levels that 8 bits are spread over


@dataclass(frozen=True)
class Plate:
    """Wells of a fixed assay: the scenes of their fields, and what became of the pixels."""

    wells: tuple[tuple[str, tuple[Scene, ...]], ...]
    vehicles: tuple[str, ...]
    camera: str = ""
    level: float = 0.0
    absent: tuple[tuple[str, int], ...] = ()

    @property
    def px(self) -> float:
        """Pixel size as recorded, in µm."""
        px = dict(self.wells)[TARGETS[0]][0].px
        return px * self.level if self.camera == "binning" else px


@dataclass(frozen=True)
class FilmPlate:
    """Wells of a time-lapse. `hours` are the hours by the dates, `numbers` those of the files.

    `copied` is the frame, from 1, that repeats the one before; without `dated`, no file has a date.
    """

    film: Film = field(
        default_factory=lambda: Film(
            frames=6, neurons_per_mm2=200, hazard_per_h=0.012, drift_um=2, debris_per_frame=0
        )
    )
    numbers: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    began: datetime = datetime(2026, 3, 3, 9)
    hours: tuple[float, ...] = (0, 12, 24, 36, 48, 60)
    clock_moved: float = 0.0  # hours by which local clocks are put forward in the night of 29 March
    copied: int = 0
    dated: bool = True
    side: int = 460
    px: float = 0.9

    @property
    def optics(self) -> Optics:
        """The microscope and camera of all frames."""
        return Optics(shape=(self.side, self.side), pixel_size_um=self.px)

    def dates(self) -> list[datetime]:
        """Local times of the frames, as a clock on the wall shows them."""
        shown = []
        for hour in self.hours:
            true = self.began + timedelta(hours=hour)
            moved = self.clock_moved if true - self.began >= timedelta(hours=20) else 0.0
            shown.append(true + timedelta(hours=moved))
        return shown


Either = Plate | FilmPlate
Pair = tuple[Either, Either]


def fields_of(well: str, base: Scene, count: int = FIELDS) -> tuple[Scene, ...]:
    """Scenes of a well's fields; each well and field has cells of its own."""
    row, column = ord(well[0]) - ord("A"), int(well[1:])
    return tuple(replace(base, seed=1000 * row + 10 * column + n) for n in range(count))


def plate(
    base: Scene = BASE,
    target: Scene | None = None,
    vehicles: tuple[str, ...] = VEHICLES[:2],
    others: tuple[str, ...] = (),
    fields: int = FIELDS,
    vehicle_fields: int = 1,
) -> Plate:
    """Vehicle, target and other wells; `target` is drawn in the target wells instead of `base`."""
    wells = {w: fields_of(w, base, vehicle_fields) for w in (*vehicles, *others)}
    wells |= {w: fields_of(w, target or base, fields) for w in TARGETS}
    return Plate(tuple(sorted(wells.items())), vehicles)


def _with(before: Plate, wells: Mapping[str, tuple[Scene, ...]]) -> Plate:
    """The plate with other scenes in these wells."""
    return replace(before, wells=tuple(sorted((dict(before.wells) | dict(wells)).items())))


def _camera(name: str) -> Callable[[float], Pair]:
    """Something done to all recorded pixels."""
    return lambda level: (plate(), replace(plate(), camera=name, level=level))


def _target(knob: str, **fixed: Any) -> Callable[[float], Pair]:
    """A knob of the target wells' scenes."""
    return lambda level: (plate(), plate(target=replace(BASE, **{knob: level}, **fixed)))


def _few(level: float) -> Pair:
    """Few neurons in the target wells, and enough elsewhere to tell motor neurons by."""
    few = replace(BASE, neurons=level)
    return plate(vehicles=VEHICLES), plate(target=few, vehicles=VEHICLES)


def _sphere(level: float) -> Pair:
    """A neurosphere, with enough neurons beside it and elsewhere to tell motor neurons by."""
    sound = plate(vehicles=VEHICLES[:4], fields=3)
    sphere = replace(BASE, sphere_um=level)
    return sound, plate(target=sphere, vehicles=VEHICLES[:4], fields=3)


def _everywhere(knob: str) -> Callable[[float], Pair]:
    """A knob of all wells' scenes."""
    return lambda level: (plate(), plate(replace(BASE, **{knob: level})))


def _pixels(level: float) -> Pair:
    """The same scenes with other pixels; fine ones in smaller fields, of which there are more."""
    base, fields = BASE, FIELDS
    if level < 0.3:
        base, fields = replace(BASE, side_um=180.0, neurons=450.0), 3
    of_base = plate(base, fields=fields)
    return of_base, plate(at_pixel_size(base, level), fields=fields)


def _vehicles_lost(**knobs: Any) -> Callable[[float], Pair]:
    """Some of eight vehicle wells drawn otherwise."""

    def pair(level: float) -> Pair:
        sound = plate(vehicles=VEHICLES)
        lost = {w: fields_of(w, replace(BASE, **knobs), 1) for w in VEHICLES[: round(level)]}
        return sound, _with(sound, lost)

    return pair


def _other_vehicles(level: float) -> Pair:
    """The same wells, of which others are named vehicle."""
    sound = plate(others=VEHICLES[2:4])
    return sound, replace(sound, vehicles=VEHICLES[2 : 2 + round(level)])


def _other_vehicle_state(level: float) -> Pair:
    """Vehicle wells whose neurons keep the protein elsewhere."""
    sound = plate()
    drawn = {w: fields_of(w, replace(BASE, nc_log2=level), 1) for w in sound.vehicles}
    return sound, _with(sound, drawn)


def _more_wells(others: tuple[str, ...]) -> Callable[[float], Pair]:
    """Wells of a toxic compound before or behind the others."""

    def pair(level: float) -> Pair:
        toxic = replace(BASE, neurons=100.0, pyknotic=150.0)
        drawn = {w: fields_of(w, toxic, 1) for w in others[: round(level)]}
        return plate(), _with(plate(), drawn)

    return pair


def _film(hazard_per_h: float = 0.0) -> Callable[[float], Pair]:
    """A film to which nothing happens."""
    film = replace(FilmPlate().film, hazard_per_h=hazard_per_h)
    return lambda level: (FilmPlate(film), FilmPlate(film))


def _moved(**film: Any) -> Callable[[float], Pair]:
    """A plate put back otherwise from the fourth frame on; "level" stands for the level."""

    def pair(level: float) -> Pair:
        turn = level if film.get("turned") else 0.0
        shift = (0.0, 0.0) if film.get("turned") else (0.8 * level, -0.6 * level)
        still = replace(
            FilmPlate().film,
            hazard_per_h=film.get("hazard_per_h", 0.0),
            reseat_um=shift,
            reseat_deg=turn,
            reseated=99,
        )
        return FilmPlate(still), FilmPlate(replace(still, reseated=4))

    return pair


def _dated(**changed: Any) -> Callable[[float], Pair]:
    return lambda level: (FilmPlate(), replace(FilmPlate(), **changed))


def _clock(level: float) -> Pair:
    """Clocks are put forward in March or back in October while the film runs."""
    began = datetime(2026, 3, 28, 9) if level > 0 else datetime(2026, 10, 24, 9)
    return FilmPlate(began=began), FilmPlate(began=began, clock_moved=level)


def _blurred(level: float) -> Pair:
    """A film of which one frame is out of focus."""
    return FilmPlate(), FilmPlate(film=replace(FilmPlate().film, blurred=(round(level),)))


DRAWN: dict[str, Callable[[float], Pair]] = {
    "nothing": lambda level: (plate(), plate()),
    "camera offset": _camera("offset"),
    "camera gain": _camera("gain"),
    "bit depth": _camera("bits"),
    "clipping": _camera("clipping"),
    "smoothing": _camera("smoothing"),
    "binning": _camera("binning"),
    "JPEG": _camera("jpeg"),
    "illumination profile": lambda level: (
        plate(vehicles=VEHICLES),
        plate(replace(BASE, vignetting=level), vehicles=VEHICLES),
    ),
    "black margin": _target("margin", margin_kind="black"),
    "dark margin": _target("margin", margin_kind="dark"),
    "round well wall": _target("margin", margin_kind="round"),
    "haze": _target("haze"),
    "haze of one channel": _target("aggregate_haze"),
    "neurosphere": _sphere,
    "debris": _target("debris"),
    "glia": _target("glia"),
    "hardly any neurons": _few,
    "few neurons": _few,
    "many neurons": _target("neurons"),
    "cytoplasm width": _target("cytoplasm_um"),
    "nucleus size": _target("nucleus_um"),
    "nuclear brightness": _target("nuclear_light"),
    "N:C state": _target("nc_log2"),
    "puncta per soma": _target("puncta"),
    "noise": _everywhere("read_noise"),
    "much noise": _everywhere("read_noise"),
    "finer pixels": _pixels,
    "coarser pixels": _pixels,
    "blank vehicle wells": _vehicles_lost(blank=True),
    "dark vehicle wells": _vehicles_lost(exposed=False),
    "vehicle wells out of focus": _vehicles_lost(blur_um=4.0),
    "most vehicle wells blank": _vehicles_lost(blank=True),
    "most vehicle wells dark": _vehicles_lost(exposed=False),
    "most vehicle wells out of focus": _vehicles_lost(blur_um=4.0),
    "all vehicle wells blank": _vehicles_lost(blank=True),
    "all vehicle wells dark": _vehicles_lost(exposed=False),
    "other wells are vehicle": _other_vehicles,
    "vehicle with another N:C": _other_vehicle_state,
    "other wells before": _more_wells(BEFORE),
    "other wells behind": _more_wells(OTHERS),
    "field missing": lambda level: (
        plate(fields=3),
        replace(plate(fields=3), absent=((TARGETS[0], 2),)),
    ),
    "channel shifted": _target("shift_px"),
    "nothing, no neuron dies": _film(),
    "nothing, neurons die": _film(hazard_per_h=0.012),
    "plate moved between frames": _moved(),
    "plate moved far between frames": _moved(),
    "plate turned between frames": _moved(turned=True),
    "plate moved while neurons die": _moved(hazard_per_h=0.012),
    "frame missing": lambda level: (
        FilmPlate(),
        FilmPlate(numbers=(1, 2, 4, 5, 6), hours=(0, 12, 36, 48, 60), dated=False),
    ),
    "frame is a copy": lambda level: (FilmPlate(), FilmPlate(copied=4)),
    "frame out of focus": _blurred,
    "first or last frame out of focus": _blurred,
    "frames at unequal hours": lambda level: (
        FilmPlate(),
        FilmPlate(hours=(0, 8, 20, 36, 60, 84)),
    ),
    "daylight saving": _clock,
}


def recorded(plate: Plate, pixels: Pixels) -> Pixels:
    """The field's pixels (C, Y, X) after what happened to them in the camera or in a file."""
    grey, level = pixels.astype(np.float32), plate.level
    if plate.camera == "":
        return pixels
    if plate.camera == "offset":
        grey = grey + level
    elif plate.camera == "gain":
        grey = (grey - OFFSET) * level + OFFSET
    elif plate.camera == "bits":
        # The brightest pixels of any drawn field lie below this; nothing is clipped.
        grey = np.floor(grey / FULL_SCALE * 2**level)
    elif plate.camera == "clipping":
        grey = np.stack([np.minimum(c, np.percentile(c, 100 - level)) for c in grey])
    elif plate.camera == "smoothing":
        grey = np.stack([cv2.GaussianBlur(c, (0, 0), level) for c in grey])
    elif plate.camera == "binning":
        n = grey.shape[1] // round(level)
        grey = np.stack([cv2.resize(c, (n, n), interpolation=cv2.INTER_AREA) for c in grey])
    elif plate.camera == "jpeg":
        grey = np.stack([_jpeg(c, level) for c in grey])
    else:
        raise ValueError(f"unknown camera {plate.camera!r}")
    return np.clip(np.round(grey), 0, 65535).astype(np.uint16)


def _jpeg(plane: NDArray[np.float32], quality: float) -> NDArray[np.uint8]:
    eight = np.clip(np.round(plane / FULL_SCALE * 255), 0, 255).astype(np.uint8)
    encoded = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
