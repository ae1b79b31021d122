"""How the phantoms' neurites grow, branch, run in bundles, bead and break."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from segmentation.field import Image
from segmentation.phantoms.drawing import SHIFT, Points, add_spot, draw_line, draw_polygon, walk
from segmentation.phantoms.scenery import Clutter

# No neurite is drawn fainter than this many standard deviations of the noise beside it: truth must
# be visible.
_FAINTEST_SNR = 2.0


@dataclass
class Neurites:
    """Grow neurites into the tubulin map.

    Keeps their centre lines (y, x, drawing pixels), owners and widths (µm). `rng` draws what plain
    cultures have, `wild` the clutter; `noise` is the standard deviation of the background's noise
    in photo-electrons and `psf` the σ of the point spread function in drawing pixels, `um` drawing
    pixels per µm.
    """

    rng: np.random.Generator
    wild: np.random.Generator
    mean_length_um: float
    per_neuron: int
    clutter: Clutter
    um: float
    psf: float
    noise: float
    tubulin: Image
    lines: list[Points] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)

    def grow_from(self, owner: int, centre: Points) -> None:
        """All neurites of one neuron."""
        rng, um, step = self.rng, self.um, 2.0 * self.um
        total = rng.gamma(6.0, self.mean_length_um / 6.0)
        shares = rng.dirichlet(np.full(self.per_neuron, 4.0)) * total
        start = rng.uniform(0, 2 * np.pi)
        for n, share in enumerate(shares):
            # The neurite starts at the soma's centre: the part under the soma (about 8.5 µm) is not
            # visible length.
            steps = max(2, round((share + 8.5) * um / step))
            turns = rng.normal(0, 0.16, steps)
            heading = start + 2 * np.pi * n / self.per_neuron
            if self.clutter.wander:
                line = walk(self.wild, centre, heading, steps * step, step, self.clutter.wander)
            else:
                headings = heading + np.cumsum(turns)
                line = np.vstack(
                    [
                        centre,
                        centre
                        + np.cumsum(
                            step * np.stack([np.sin(headings), np.cos(headings)], axis=1), axis=0
                        ),
                    ]
                )
            width, brightness = rng.uniform(1.0, 1.8), rng.uniform(300, 600)
            # Drawn from inside the soma's rim, not through the nucleus.
            visible = line[3:] if len(line) > 5 else line
            if self.clutter == Clutter():
                draw_line(self.tubulin, visible, max(2, round(width * um)), brightness)
                self._keep(line, owner, width)
                continue
            width, brightness = self._character(width, brightness)
            # The part inside the soma stays truth: the soma's mask takes it away.
            pieces = self._draw(
                line[4:] if len(line) > 6 else visible,
                width,
                brightness,
                hillock=self.wild.uniform(0, 2.0),
            )
            self._keep(np.vstack([line[:4], pieces[0]]) if len(line) > 6 else line, owner, width)
            for piece in pieces[1:]:
                self._keep(piece, owner, width)
            self._bundle(line, owner, width)
            self._branch(line, owner, width, brightness)

    def pass_through(self) -> None:
        """A neurite of a cell that is not in view."""
        start = self.wild.uniform(-0.1, 1.1, 2) * self.tubulin.shape
        length = self.wild.gamma(3.0, 60.0) * self.um
        wander = self.clutter.wander or 0.05
        line = walk(
            self.wild, start, self.wild.uniform(0, 2 * np.pi), length, 2.0 * self.um, wander
        )
        width, brightness = self._character(
            self.wild.uniform(0.8, 1.8), self.wild.uniform(250, 600)
        )
        for piece in self._draw(line, width, brightness):
            self._keep(piece, 0, width)
        self._bundle(line, 0, width)
        self._branch(line, 0, width, brightness)

    def _character(self, width: float, brightness: float) -> tuple[float, float]:
        wild = self.wild
        if wild.random() < self.clutter.thin:
            width = wild.uniform(0.25, 0.8)
        elif wild.random() < 0.15:
            width *= wild.uniform(1.2, 2.2)
        return width, brightness * float(
            wild.lognormal(-0.5 * self.clutter.neurite_spread, self.clutter.neurite_spread)
        )

    def _branch(self, line: Points, owner: int, width: float, brightness: float) -> None:
        length = (len(line) - 1) * 2.0  # µm
        for _ in range(int(self.wild.poisson(self.clutter.branches_per_100um * length / 100))):
            fork = int(self.wild.integers(min(4, len(line) - 2), len(line) - 1))
            ahead = np.arctan2(*(line[fork + 1] - line[fork]))
            turn = self.wild.choice([-1, 1]) * self.wild.uniform(0.4, 1.5)
            reach = self.wild.uniform(0.2, 0.8) * length * self.um
            child = walk(
                self.wild,
                line[fork],
                ahead + turn,
                reach,
                2.0 * self.um,
                self.clutter.wander or 0.05,
            )
            thinner = width * self.wild.uniform(0.5, 0.95)
            for piece in self._draw(child, thinner, brightness * self.wild.uniform(0.6, 1.0)):
                self._keep(piece, owner, thinner)

    def _draw(
        self, line: Points, width: float, brightness: float, hillock: float = 0.0
    ) -> list[Points]:
        """Draw one neurite; returns the pieces that it broke into."""
        wild, um = self.wild, self.um
        width_px = width * um
        # The point spread function dims a thin line; what is fainter than the noise is not truth.
        brightness = max(
            brightness, _FAINTEST_SNR * self.noise * float(np.hypot(1.0, 2.5 * self.psf / width_px))
        )
        beads = wild.uniform(3, 9) * um if wild.random() < self.clutter.beading else 0.0
        pieces = [line]
        if wild.random() < self.clutter.fragmentation and len(line) > 8:
            cuts = np.sort(
                wild.choice(
                    np.arange(2, len(line) - 2), size=max(1, len(line) // 10), replace=False
                )
            )
            broken = [p[: -int(wild.integers(1, 4))] for p in np.split(line, cuts)]
            pieces = [p for p in broken if len(p) > 2] or pieces
        for piece in pieces:
            draw_neurite(
                wild, self.tubulin, piece, width_px, brightness, taper=hillock, beads=beads
            )
        if wild.random() < self.clutter.growth_cones:
            add_growth_cone(wild, self.tubulin, pieces[-1], um, brightness)
        return pieces

    def _keep(self, line: Points, owner: int, width: float) -> None:
        self.lines.append(line)
        self.owners.append(owner)
        self.widths.append(width)

    def _bundle(self, line: Points, owner: int, width: float) -> None:
        """Others run along some neurites, so close that they merge and part again."""
        if self.wild.random() >= self.clutter.bundles:
            return
        across = np.gradient(line, axis=0)[:, ::-1] * [1, -1] / (2 * self.um)
        for _ in range(int(self.wild.integers(1, 4))):
            offset = (
                np.interp(
                    np.arange(len(line)), np.linspace(0, len(line), 6), self.wild.normal(0, 1.5, 6)
                )
                * self.um
            )
            parallel = line + across * offset[:, None]
            draw_neurite(self.wild, self.tubulin, parallel, width * self.um * 0.8, 350.0)
            self._keep(parallel, owner, 0.8 * width)


def draw_neurite(
    rng: np.random.Generator,
    canvas: Image,
    line: Points,
    width: float,
    brightness: float,
    *,
    taper: float = 0.0,
    beads: float = 0.0,
) -> None:
    """Add a neurite with a width (pixels) and brightness that change along it.

    `taper` widens the first fifth by that factor (an axon hillock); `beads` is the spacing of
    varicosities in pixels, 0 for none, over a line between them that is then fainter.
    """
    n = len(line) - 1
    if n < 1:
        return
    low = np.maximum(np.floor(line.min(axis=0)).astype(int) - int(4 * width + 8), 0)
    high = np.minimum(np.ceil(line.max(axis=0)).astype(int) + int(4 * width + 8), canvas.shape)
    if (high <= low).any():
        return
    window = np.zeros(tuple(high - low), np.uint8)
    points = np.round((line - low)[:, ::-1] * (1 << SHIFT)).astype(np.int32)
    # Stain and calibre drift along a neurite by some tens of per cent.
    drift = np.interp(
        np.arange(n), np.linspace(0, n, max(3, n // 6)), rng.normal(0, 0.3, max(3, n // 6))
    )
    calibre = np.interp(
        np.arange(n), np.linspace(0, n, max(3, n // 8)), rng.normal(0, 0.18, max(3, n // 8))
    )
    between = 0.45 if beads else 1.0
    for i in range(n):
        hillock = 1 + taper * max(0.0, 1 - 5 * i / n)
        tip = min(1.0, 0.35 + 4 * (n - i) / n)
        local_width = max(0.3, width * float(np.exp(calibre[i])) * hillock * tip)
        thickness = max(1, round(local_width))
        # Lines thinner than the grid carry less light, not a lesser width.
        level = between * float(np.exp(drift[i])) * min(1.0, local_width / thickness)
        cv2.polylines(
            window,
            [points[i : i + 2]],
            False,
            min(255.0, 130 * level),
            thickness,
            cv2.LINE_AA,
            SHIFT,
        )
    canvas[low[0] : high[0], low[1] : high[1]] += window.astype(np.float32) * (brightness / 130)
    if beads:
        steps = np.hypot(*np.diff(line, axis=0).T)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        bead_positions = np.cumsum(
            rng.gamma(3.0, beads / 3.0, size=max(1, int(along[-1] / beads) + 1))
        )
        for s in bead_positions[bead_positions < along[-1]]:
            centre = np.array([np.interp(s, along, line[:, 0]), np.interp(s, along, line[:, 1])])
            add_spot(
                canvas,
                centre,
                max(0.6, width * rng.uniform(0.4, 0.9)),
                brightness * rng.uniform(0.5, 1.6),
            )


def add_growth_cone(
    rng: np.random.Generator, canvas: Image, line: Points, um: float, brightness: float
) -> None:
    """A fan with filopodia at the end of a neurite."""
    tip = line[-1]
    ahead = np.arctan2(*(line[-1] - line[-2]))
    fan = np.linspace(-1.0, 1.0, 9) * rng.uniform(0.5, 1.0)
    reach = rng.uniform(2.0, 5.0) * um * rng.uniform(0.6, 1.0, 9)
    rim = tip + reach[:, None] * np.stack([np.sin(ahead + fan), np.cos(ahead + fan)], axis=1)
    shape = np.zeros(canvas.shape, np.float32)
    draw_polygon(shape, np.vstack([tip, rim]), brightness * rng.uniform(0.3, 0.7))
    canvas += shape
    for angle, r in zip(fan[::2], reach[::2], strict=True):
        end = tip + (r + rng.uniform(1, 4) * um) * np.array(
            [np.sin(ahead + angle), np.cos(ahead + angle)]
        )
        draw_line(canvas, np.stack([tip, end]), max(1, round(0.3 * um)), brightness * 0.3)
