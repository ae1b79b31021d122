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
    "M2": "spots at rims, among many others and under haze are missed",
    "M4": "a margin outside the culture is taken for background and for imaged area",
    "M5": "vehicle wells that are blank, dark or out of focus calibrate the plate",
    "M7": "beside a neurosphere densities and levels are not those of the field without it",
    "soma rims": "neurites are found along the blurred rims of somas, so that length follows the somas, the blur and the noise",
    "rim stain": "light of a stain in the nucleus's rim is measured as level of nucleus and cytoplasm",
    "lost somas": "`classical` loses and merges somas between frames, and some of them count as deaths",
    "outlines": "nuclei are outlined wider where pixels are smoother or coarser",
    "debris": "debris is traced as short neurites",
    "8 bits": "a JPEG of poor quality shows one soma of forty more or less",
    "illumination": "a strong profile is corrected in part only, without a word",
    "channel shift": "the network sees all channels at once, so that one that lies apart moves its neurites",
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
    KnownFault("M2", "camera gain", (0.5,), ("classical",), ("puncta",)),
    KnownFault("M2", "bit depth", (8,), ("classical",), ("puncta size",)),
    KnownFault("soma rims", "bit depth", (8,), ("classical",), ("neurite length",)),
    KnownFault("M2", "bit depth", (8, 12), ("classical",), ("puncta",)),
    KnownFault("M2", "smoothing", (1,), ("classical", "motornet"), ("puncta", "granules")),
    KnownFault("outlines", "smoothing", (1,), ("classical",), ("nucleus",)),
    KnownFault("soma rims", "smoothing", (1,), ("classical",), ("neurite length", "neurites of a neuron", "loose neurites")),
    KnownFault("outlines", "binning", (2,), ("classical",), ("nucleus",)),
    KnownFault("soma rims", "binning", (2,), ("classical",), ("neurite length",)),
    KnownFault("8 bits", "JPEG", (80,), ("motornet",), ("counts", "motor neurons")),
    KnownFault("illumination", "illumination profile", (0.3, 0.6), ("classical", "motornet"), ("grey levels",)),
    KnownFault("M2", "illumination profile", (0.6,), ("classical",), ("puncta",)),
    KnownFault("M2", "illumination profile", (0.6,), ("motornet",), ("granules",)),
    KnownFault("illumination", "illumination profile", (0.6,), ("classical",), ("neurite length", "DNA levels", "soma levels", "summed light", "N:C of other stains")),
    KnownFault("illumination", "illumination profile", (0.6,), ("motornet",), ("DNA levels", "soma levels", "summed light", "N:C of other stains")),
    KnownFault("M4", "round well wall", (0.15, 0.25), ("motornet",), ("area", "counts", "neurite length", "DNA levels", "grey levels", "soma levels", "summed light", "N:C", "N:C of other stains")),
    KnownFault("M2", "haze", (120, 300), ("classical", "motornet"), ("puncta",)),
    KnownFault("M2", "haze of one channel", (200,), ("classical", "motornet"), ("puncta",)),
    KnownFault("M7", "neurosphere", (150,), ("classical", "motornet"), ("counts", "grey levels")),
    KnownFault("M2", "debris", (300,), ("motornet",), ("colocalisation",)),
    KnownFault("debris", "debris", (300,), ("classical",), ("neurite form",)),
    KnownFault("M1", "cytoplasm width", (1,), ("classical",), ("counts", "motor neurons", "N:C")),
    KnownFault("M1", "cytoplasm width", (1,), ("motornet",), ("N:C",)),
    KnownFault("M2", "cytoplasm width", (1, 1.5), ("classical",), ("granules",)),
    KnownFault("rim stain", "cytoplasm width", (1, 1.5, 2), ("classical", "motornet"), ("grey levels", "N:C of other stains")),
    KnownFault("soma rims", "cytoplasm width", (1, 1.5, 2), ("classical",), ("neurite length",)),
    KnownFault("M2", "cytoplasm width", (1.5, 2, 3), ("motornet",), ("puncta",)),
    KnownFault("M2", "cytoplasm width", (2,), ("classical",), ("puncta",)),
    KnownFault("M2", "nucleus size", (6.5,), ("classical",), ("puncta",)),
    KnownFault("rim stain", "nucleus size", (6.5,), ("motornet",), ("N:C of other stains",)),
    KnownFault("soma rims", "nucleus size", (6.5,), ("classical",), ("neurite length",)),
    KnownFault("M2", "N:C state", (-2, -1, 0, 3), ("classical", "motornet"), ("puncta",)),
    KnownFault("M2", "puncta per soma", (20, 60), ("classical", "motornet"), ("puncta",)),
    KnownFault("M2", "noise", (15, 30), ("classical",), ("puncta",)),
    KnownFault("M2", "noise", (15, 30), ("motornet",), ("puncta", "granules")),
    KnownFault("soma rims", "noise", (15, 30), ("classical",), ("neurite length", "neurites of a neuron")),
    KnownFault("M2", "noise", (30,), ("classical",), ("granules",)),
    KnownFault("M2", "noise", (30,), ("motornet",), ("summed light",)),
    KnownFault("soma rims", "noise", (30,), ("classical",), ("neurite form",)),
    KnownFault("soma rims", "much noise", (60,), ("classical",), ("neurite length", "neurite form", "neurites of a neuron", "loose neurites")),
    KnownFault("rim stain", "finer pixels", (0.1, 0.2), ("classical",), ("grey levels",)),
    KnownFault("soma rims", "finer pixels", (0.1, 0.2), ("classical",), ("loose neurites",)),
    KnownFault("soma rims", "finer pixels", (0.1, 0.2, 0.325), ("classical",), ("neurite length",)),
    KnownFault("M2", "finer pixels", (0.1, 0.325), ("classical",), ("puncta",)),
    KnownFault("M2", "finer pixels", (0.325,), ("motornet",), ("puncta",)),
    KnownFault("soma rims", "coarser pixels", (1,), ("classical",), ("neurite length",)),
    KnownFault("outlines", "coarser pixels", (1.4,), ("classical",), ("nucleus",)),
    KnownFault("M5", "blank vehicle wells", (5,), ("classical", "motornet"), ("puncta",)),
    KnownFault("M5", "dark vehicle wells", (5,), ("classical",), ("puncta",)),
    KnownFault("M5", "dark vehicle wells", (5,), ("motornet",), ("counts", "neurite form", "summed light", "puncta", "puncta size", "granules", "colocalisation")),
    KnownFault("M5", "vehicle wells out of focus", (4,), ("motornet",), ("counts", "puncta", "puncta size")),
    KnownFault("M5", "most vehicle wells blank", (7,), ("motornet",), ("counts", "motor neurons", "pyknosis", "crowding", "nucleus", "shape", "soma", "neurite length", "neurite form", "neurites of a neuron", "loose neurites", "DNA levels", "grey levels", "soma levels", "summed light", "N:C", "N:C of other stains", "mislocalised", "puncta", "puncta size", "granules", "image")),
    KnownFault("M5", "most vehicle wells out of focus", (7,), ("motornet",), ("counts", "summed light", "mislocalised", "puncta", "puncta size", "granules")),
    KnownFault("M5", "all vehicle wells blank", (8,), ("motornet",), ("area", "counts", "motor neurons", "pyknosis", "crowding", "nucleus", "shape", "soma", "neurite length", "neurite form", "neurites of a neuron", "loose neurites", "DNA levels", "grey levels", "soma levels", "summed light", "N:C", "N:C of other stains", "mislocalised", "puncta", "puncta size", "granules", "image")),
    KnownFault("M5", "all vehicle wells dark", (8,), ("motornet",), ("area", "counts", "crowding", "nucleus", "shape", "soma", "neurite length", "neurite form", "neurites of a neuron", "loose neurites", "DNA levels", "grey levels", "soma levels", "summed light", "N:C", "N:C of other stains", "puncta", "puncta size", "granules", "colocalisation", "image")),
    KnownFault("M2", "vehicle with another N:C", (-1,), ("motornet",), ("puncta", "puncta size")),
    KnownFault("M2", "channel shifted", (2,), ("classical",), ("puncta",)),
    KnownFault("channel shift", "channel shifted", (2,), ("motornet",), ("neurite form",)),
    KnownFault("lost somas", "nothing, no neuron dies", (0,), ("classical",), ("deaths",)),
    KnownFault("lost somas", "plate moved between frames", (20, 80), ("classical",), ("deaths",)),
    KnownFault("lost somas", "plate turned between frames", (0.5,), ("classical",), ("deaths", "survival")),
)
# fmt: on
