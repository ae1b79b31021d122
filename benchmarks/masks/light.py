"""How far two estimates of the illumination are from the one that drawn fields have.

The plate's own estimate runs here, BaSiC in an environment of its own, which it cannot share:

    python -m benchmarks.masks.light draw build/light
    uv venv build/basic && uv pip install --python build/basic/bin/python --only-binary :all: basicpy
    build/basic/bin/python benchmarks/masks/light.py basic build/light
    python -m benchmarks.masks.light tell build/light
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

SHAPE = (512, 512)
# Corner's loss of light, tilt across the field, live cells per mm².
LAMPS = {"bowl": (0.25, 0.0), "deep bowl": (0.6, 0.0), "bowl and tilt": (0.25, 0.2)}
DENSITIES = (100, 500)
COUNTS = (16, 64)


def known(vignetting, tilt):
    """(Y, X) light with mean 1, as the drawing has it."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    light = (1 - vignetting * (y**2 + x**2) / 2) * (1 + tilt * x)
    return light / light.mean()


def cases():
    for lamp in LAMPS:
        for density in DENSITIES:
            for count in COUNTS:
                yield f"{lamp}, {density} per mm², {count} fields", lamp, density, count


def draw(folder):
    """Fields of one channel per case, and our estimate of their light."""
    from segmentation import Field
    from segmentation.filters.background import estimate_illumination
    from segmentation.phantoms.render import Culture, Optics, render

    x = np.linspace(-1, 1, SHAPE[1])[None, :]
    for number, (_, lamp, density, count) in enumerate(cases()):
        vignetting, tilt = LAMPS[lamp]
        optics = Optics(shape=SHAPE, vignetting=vignetting)
        planes = []
        for seed in range(count):
            pixels = render(Culture(neurons_per_mm2=density), optics, 1000 + seed).field.pixels[:2]
            tilted = (pixels - optics.offset) * (1 + tilt * x) + optics.offset
            planes.append(np.clip(np.round(tilted), 0, 65535).astype(np.uint16))
        began = time.perf_counter()
        fields = [Field(p, ("dna", "neurite"), 0.65) for p in planes]
        estimated = estimate_illumination(fields)
        took = time.perf_counter() - began
        ours = np.stack([estimated.profile(c, SHAPE) for c in range(2)])
        np.savez(folder / f"{number}.npz", pixels=np.stack(planes), ours=ours, took=took)


def basic(folder):
    """BaSiC's estimate, with its defaults and with a dark field."""
    from basicpy import BaSiC

    for number, _ in enumerate(cases()):
        pixels = np.load(folder / f"{number}.npz")["pixels"]
        for dark in (False, True):
            began = time.perf_counter()
            light = []
            for c in range(2):
                model = BaSiC(get_darkfield=dark)
                model.fit(pixels[:, c])
                light.append(np.asarray(model.flatfield, float))
            took = time.perf_counter() - began
            np.savez(folder / f"{number}-{dark}.npz", light=np.stack(light), took=took)


def tell(folder):
    """Root mean square and largest error of each estimate, per cent of the light."""
    print("| fields | channel | no correction | ours | BaSiC | BaSiC with dark field |")
    print("|---|---|---|---|---|---|")
    took = {"ours": 0.0, "False": 0.0, "True": 0.0}
    for number, (name, lamp, _, _) in enumerate(cases()):
        ours = np.load(folder / f"{number}.npz")
        found = [ours["ours"]]
        took["ours"] += float(ours["took"])
        for dark in ("False", "True"):
            path = folder / f"{number}-{dark}.npz"
            if not path.exists():  # BaSiC takes long, and may be stopped
                continue
            other = np.load(path)
            found.append(other["light"])
            took[dark] += float(other["took"])
        for c, channel in enumerate(("dna", "neurite")):
            cells = [error(np.ones(SHAPE), LAMPS[lamp])]
            cells += [error(light[c] / light[c].mean(), LAMPS[lamp]) for light in found]
            print(f"| {name} | {channel} | {' | '.join(cells)} |")
    print({name: round(seconds, 1) for name, seconds in took.items()}, "s in all")


def error(light, lamp):
    ratio = light / known(*lamp)
    ratio /= ratio.mean()
    return f"{100 * np.sqrt(np.mean((ratio - 1) ** 2)):.1f} ({100 * np.abs(ratio - 1).max():.1f})"


if __name__ == "__main__":
    out = Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    {"draw": draw, "basic": basic, "tell": tell}[sys.argv[1]](out)
