"""How far apart two colours are seen, with colour vision or without.

Dichromacy is simulated by the matrices of severity 1.0 of Machado, Oliveira & Fernandes (2009), "A
Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE Transactions on
Visualization and Computer Graphics 15(6), 1291-1298, table 1; they act on linear RGB.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

SIGHT = {
    "colour vision": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# CIEDE2000: 1 is the least difference that is seen between large fields side by side. Marks are
# small, apart from each other, and compared from memory.
APART = 10.0
# WCAG 2.2, 1.4.11: what is needed to understand a graphic.
CONTRAST = 3.0


def rgb(colour: str) -> np.ndarray:
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * d for d in digits)
    return np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255


def linear(colour: np.ndarray) -> np.ndarray:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def encoded(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def contrast(one: str, other: str) -> float:
    high, low = sorted(
        (float(linear(rgb(c)) @ (0.2126, 0.7152, 0.0722)) for c in (one, other)), reverse=True
    )
    return (high + 0.05) / (low + 0.05)


def difference(one: str, other: str, sight: str) -> float:
    seen = [encoded(SIGHT[sight] @ linear(rgb(c))) for c in (one, other)]
    return float(deltaE_ciede2000(*(rgb2lab(c[None, None])[0, 0] for c in seen)))


def too_alike(colours: list[str], sight: str) -> dict[tuple[str, str], float]:
    pairs = {p: round(difference(*p, sight), 1) for p in combinations(colours, 2)}
    return {pair: value for pair, value in pairs.items() if value < APART}
