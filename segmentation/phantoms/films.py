"""Phantom time-lapses: the same neurons over days, with known deaths.

With drift, frames out of focus and debris that settles. Channels are a live reporter ("neurite")
and a second one ("death"): a sensor that turns red in dead neurons. What is true is what was drawn:
each neuron's place at the start, its hour of death, and every frame's drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Field, Image
from segmentation.phantoms.drawing import add_spot, blob, draw_line, draw_polygon, walk
from segmentation.phantoms.render import Optics, detect


@dataclass(frozen=True)
class Film:
    """A longitudinal field.

    `hazard_per_h` is constant: the hour of death is exponential. `vanish`: dead neurons lose the
    reporter within a frame; else they round up and turn red. `drift_um`: standard deviation of the
    stage's step a frame. `blurred`: frames out of focus, counted from 1. `debris_per_frame`: bright
    specks that settle, and stay. `lost_per_frame`: share of living neurons that detach and float
    off alive, between two frames. `reseated`: frame, counted from 1, from which on the plate lies
    `reseat_um` (y, x) farther and is turned by `reseat_deg` about the field's centre; 0 for never.
    """

    frames: int = 10
    interval_h: float = 12.0
    neurons_per_mm2: float = 120.0
    hazard_per_h: float = 0.008
    vanish: bool = True
    drift_um: float = 4.0
    crawl_um: float = 1.0
    blurred: tuple[int, ...] = ()
    debris_per_frame: float = 1.0
    lost_per_frame: float = 0.0
    reporter: float = 600.0
    reseated: int = 0
    reseat_um: tuple[float, float] = (0.0, 0.0)
    reseat_deg: float = 0.0


@dataclass(frozen=True)
class FilmTruth:
    """Truth of a film, per neuron.

    `start_um` (n, 2): y, x in the first frame, outside its view for neurons that only a re-seated
    plate shows; `death_h` (n,): inf beyond the film; `drift_um` (T, 2): displacement of the field's
    centre; `turn_deg` (T,): turn about it, from the y axis towards the x axis; `centre_um` (2,).
    """

    start_um: NDArray[np.float64]
    death_h: NDArray[np.float64]
    drift_um: NDArray[np.float64]
    turn_deg: NDArray[np.float64]
    centre_um: NDArray[np.float64]

    def seen_um(self, places: NDArray[np.float64], frame: int) -> NDArray[np.float64]:
        """Where places (…, 2) of the first frame lie in a frame, counted from 0."""
        turned = (places - self.centre_um) @ _turn(self.turn_deg[frame]).T
        return np.asarray(turned + self.centre_um + self.drift_um[frame])


def _turn(degrees: float) -> NDArray[np.float64]:
    """The rotation of (y, x) by which y turns towards x."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s], [s, c]])


def _margin_um(film: Film, side: NDArray[np.float64]) -> float:
    """How far outside the first view a re-seated plate is seen."""
    if film.reseated == 0:
        return 0.0
    turned = float(np.hypot(*side)) / 2 * abs(np.deg2rad(film.reseat_deg))
    return float(turned + max(map(abs, film.reseat_um)) + 4 * film.drift_um)


@dataclass
class _Neuron:
    outline: NDArray[np.float64]
    neurites: list[NDArray[np.float64]]
    brightness: float
    offset_um: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))


def film_truth(film: Film, optics: Optics, seed: int) -> FilmTruth:
    """Places, deaths and drift; what `render_film` draws."""
    rng = np.random.default_rng([seed, 0])
    side = np.array(optics.shape) * optics.pixel_size_um
    margin = _margin_um(film, side)
    count = int(rng.poisson(film.neurons_per_mm2 * (side + 2 * margin).prod() / 1e6))
    places: list[NDArray[np.float64]] = []
    for _ in range(count * 50):
        if len(places) == count:
            break
        candidate = rng.uniform(-margin, side + margin)
        if all(np.hypot(*(candidate - other)) > 28 for other in places):
            places.append(candidate)
    death = (
        rng.exponential(1 / film.hazard_per_h, len(places))
        if film.hazard_per_h > 0
        else np.full(len(places), np.inf)
    )
    steps = rng.normal(0, film.drift_um, (film.frames, 2))
    steps[0] = 0
    drift, turn = steps.cumsum(axis=0), np.zeros(film.frames)
    if film.reseated:
        drift[film.reseated - 1 :] += film.reseat_um
        turn[film.reseated - 1 :] = film.reseat_deg
    return FilmTruth(np.array(places).reshape(-1, 2), death, drift, turn, side / 2)


def render_film(film: Film, optics: Optics, seed: int) -> Iterator[Field]:
    """The film's frames in order. The same arguments give the same pixels."""
    truth = film_truth(film, optics, seed)
    rng = np.random.default_rng([seed, 1])
    um = 1 / optics.pixel_size_um
    neurons = [_neuron(rng, film.reporter) for _ in truth.start_um]
    lost = rng.random((film.frames, len(neurons))) < film.lost_per_frame
    lost[0] = False
    debris: list[tuple[NDArray[np.float64], float, float]] = []
    side = np.array(optics.shape) * optics.pixel_size_um
    margin = _margin_um(film, side)
    for frame in range(film.frames):
        hour = frame * film.interval_h
        planes = [np.zeros(optics.shape, np.float32) for _ in range(2)]
        for i, neuron in enumerate(neurons):
            neuron.offset_um += rng.normal(0, film.crawl_um, 2) if frame else 0.0
            dead = truth.death_h[i] <= hour
            if lost[: frame + 1, i].any() or (dead and film.vanish):
                continue
            _draw(
                planes,
                neuron,
                truth.seen_um(truth.start_um[i] + neuron.offset_um, frame) * um,
                um,
                truth.turn_deg[frame],
                dead,
            )
        settled = int(rng.poisson(film.debris_per_frame)) if frame else 0
        debris += [
            (
                rng.uniform(-margin, side + margin),
                float(rng.uniform(0.6, 1.4)),
                float(rng.uniform(0.4, 1.5)) * film.reporter,
            )
            for _ in range(settled)
        ]
        for place, size, brightness in debris:
            add_spot(planes[0], truth.seen_um(place, frame) * um, size * um, brightness)
        if frame + 1 in film.blurred:
            planes = [cv2.GaussianBlur(p, (0, 0), 6 * um) for p in planes]
        pixels = np.stack([detect(rng, optics, p) for p in planes])
        yield Field(pixels, ("neurite", "death"), optics.pixel_size_um)


def _neuron(rng: np.random.Generator, reporter: float) -> _Neuron:
    axes = np.array([rng.normal(8.5, 0.8), rng.normal(7.0, 0.6)])
    outline = blob(rng, np.zeros(2), axes, float(rng.uniform(0, 180)), 0.12)
    neurites = [
        walk(rng, np.zeros(2), float(rng.uniform(0, 2 * np.pi)), float(rng.gamma(4, 12)), 2.0, 0.12)
        for _ in range(rng.integers(2, 5))
    ]
    return _Neuron(outline, neurites, reporter * float(rng.lognormal(0, 0.2)))


def _draw(
    planes: list[Image],
    neuron: _Neuron,
    centre: NDArray[np.float64],
    um: float,
    degrees: float,
    dead: bool,
) -> None:
    green, red = planes
    if dead:
        # Shrunk, round, without neurites, and red.
        circle = centre + 4.5 * um * np.column_stack(
            [np.sin(t := np.linspace(0, 2 * np.pi, 40)), np.cos(t)]
        )
        draw_polygon(green, circle, 0.6 * neuron.brightness)
        draw_polygon(red, circle, 0.8 * neuron.brightness)
        return
    turn = _turn(degrees).T * um
    for line in neuron.neurites:
        draw_line(green, line @ turn + centre, max(1, round(1.6 * um)), 0.45 * neuron.brightness)
    draw_polygon(green, neuron.outline @ turn + centre, neuron.brightness)
    draw_polygon(red, neuron.outline @ turn + centre, 0.15 * neuron.brightness)
