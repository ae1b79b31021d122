"""Cells of the matrix of disturbances that are known not to hold yet, each with its fault.

A mark goes once its fault is mended: `benchmarks/masks/matrix.py` fails for a mark on a cell that holds,
as for a cell that does not hold and has no mark.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownFault:
    """One fault at all of these levels, engines and groups; `fault` is a key of FAULTS."""

    fault: str
    disturbance: str
    levels: tuple[float, ...]
    engines: tuple[str, ...]
    groups: tuple[str, ...]


FAULTS: dict[str, str] = {
    "M1": "a cytoplasm too thin for the optics is given a level, and its neuron may be lost",
    "M2": "granules of a dim channel are lost in noise, and a shifted channel has its spots in the nuclei",
    "M5": "vehicle wells that are blank, dark or out of focus calibrate the plate",
    "soma rims": "neurites are found along the blurred rims of somas, so that length follows the somas, the blur and the noise",
    "rim stain": "where noise or blur hides the nuclei's edges, a fortieth of the light of a stain in their rims is measured as level of the cytoplasm",
    "lost somas": "`classical` loses and merges somas between frames, and some of them count as deaths",
    "outlines": "nuclei are outlined wider where pixels are smoother or coarser",
    "8 bits": "a JPEG of poor quality shows one soma of forty more or less",
}


def known_fault(disturbance: str, level: float, engine: str, group: str) -> str:
    """The fault by which a cell is known not to hold; empty where it must hold."""
    for known in KNOWN_FAULTS:
        cells = (level in known.levels, engine in known.engines, group in known.groups)
        if known.disturbance == disturbance and all(cells):
            return known.fault
    return ""


# fmt: off
KNOWN_FAULTS: tuple[KnownFault, ...] = (
    KnownFault("outlines", "smoothing", (1,), ("classical",), ("nucleus",)),
    KnownFault("soma rims", "smoothing", (1,), ("classical",), ("loose neurites",)),
    KnownFault("outlines", "binning", (2,), ("classical",), ("nucleus",)),
    KnownFault("soma rims", "binning", (2,), ("classical",), ("contrast floor",)),
    KnownFault("8 bits", "JPEG", (80,), ("motornet",), ("counts", "motor neurons")),
    KnownFault("M1", "cytoplasm width", (1,), ("classical",), ("counts", "motor neurons", "grey levels")),
    KnownFault("soma rims", "cytoplasm width", (1,), ("classical",), ("neurite length",)),
    KnownFault("outlines", "nucleus size", (4, 6.5), ("motornet",), ("nucleus",)),
    KnownFault("M2", "noise", (30,), ("classical", "motornet"), ("granules", "granule size")),
    KnownFault("soma rims", "noise", (30,), ("motornet",), ("neurite form",)),
    KnownFault("soma rims", "much noise", (60,), ("classical",), ("neurite form",)),
    KnownFault("rim stain", "smoothing", (1,), ("motornet",), ("DNA levels", "grey levels")),
    KnownFault("rim stain", "much noise", (60,), ("classical", "motornet"), ("grey levels",)),
    KnownFault("soma rims", "finer pixels", (0.1,), ("motornet",), ("loose neurites",)),
    KnownFault("soma rims", "finer pixels", (0.1, 0.2, 0.325), ("classical",), ("loose neurites",)),
    KnownFault("soma rims", "finer pixels", (0.2,), ("classical",), ("neurite length",)),
    KnownFault("outlines", "coarser pixels", (1.4,), ("classical",), ("nucleus",)),
    KnownFault("soma rims", "coarser pixels", (1.4,), ("classical",), ("neurite length",)),
    KnownFault("M5", "vehicle wells out of focus", (4,), ("motornet",), ("mislocalised",)),
    KnownFault("M2", "channel shifted", (2,), ("classical",), ("puncta size",)),
    KnownFault("lost somas", "nothing, no neuron dies", (0,), ("classical",), ("deaths",)),
    KnownFault("lost somas", "plate moved between frames", (20, 80), ("classical",), ("deaths",)),
    KnownFault("lost somas", "plate turned between frames", (0.5,), ("classical",), ("deaths", "survival")),
)
# fmt: on
