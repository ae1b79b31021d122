"""What may move which numbers: disturbances × groups of columns, and what must hold in each cell.

Strategy. Columns that rest on the same measurement are one group with one tolerance. A disturbance
names the groups that it may move, and why, or that are withheld, and with which words; every other
group must stay as it was. So a new column has an expectation as soon as it is in a group, and a new
disturbance needs no more than what is right about it. The table is kept true by
`benchmarks/masks/matrix.py`, which draws a plate for each disturbance and measures it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Literal

from phenotypes.columns.column import INTENSITY_ROLES, Column
from phenotypes.columns.dictionary import COLUMNS
from phenotypes.columns.known_faults import FAULTS, KNOWN_FAULTS

Assay = Literal["fixed", "film"]
Verdict = Literal["unmoved", "moves", "withheld", "unmoved or withheld", "not measured"]
BOTH: tuple[Assay, ...] = ("fixed", "film")


@dataclass(frozen=True)
class Group:
    """Columns with one tolerance.

    `columns` are patterns of "level.name". A column stays unmoved within `share` of its value plus
    `within` in its own unit. `accuracy` is the same against what was drawn, of the columns whose
    truth is known; None where drawings have no truth for them.
    """

    name: str
    columns: tuple[str, ...]
    share: float = 0.0
    within: float = 0.0
    accuracy: tuple[float, float] | None = None
    assays: tuple[Assay, ...] = ("fixed",)

    def tolerance(self, value: float) -> float:
        """How far a column of this group may lie from `value`.

        Examples
        --------
        >>> from phenotypes.columns.disturbances import GROUPS
        >>> puncta = next(g for g in GROUPS if g.name == "puncta")
        >>> round(puncta.tolerance(4.0), 3)
        0.25
        """
        return self.share * abs(value) + self.within

    def described(self) -> str:
        """The tolerance in words."""
        parts = [f"{100 * self.share:.3g} %"] if self.share else []
        parts += [f"{self.within:g}"] if self.within else []
        return " + ".join(parts) or "0"


def _every(level: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{level}.{name}" for name in names)


_STAINS = tuple(role for role in INTENSITY_ROLES if role != "dna")

# Each numeric column that is not a place, a number or a condition is in exactly one group.
# fmt: off
GROUPS: tuple[Group, ...] = (
    Group("area", (*_every("field", "area_mm2", "valid_area_mm2", "height_um", "width_um"), *_every("well", "area_mm2", "n_fields", "n_valid_fields")), share=0.01, accuracy=(0.01, 0), assays=BOTH),
    Group("counts", (*_every("well", "nuclei_count", "neuron_count", "live_count", "nuclei_density", "live_density", "survival_fixed"), "field.nuclei_count"), share=0.03, accuracy=(0.03, 0)),
    Group("motor neurons", _every("well", "motor_neuron_count", "purity"), share=0.03, accuracy=(0.05, 0)),
    Group("pyknosis", ("well.pyknotic_fraction",), within=0.02, accuracy=(0, 0.03)),
    Group("crowding", (*_every("field", "confluence", "clump_fraction"), "well.clump_fraction"), within=0.03),
    Group("nucleus", ("cell.nucleus_area_um2", "cell.nucleus_major_um", "cell.nucleus_minor_um", "cell.nucleus_perimeter_um", "well.nucleus_area_mean"), share=0.05, accuracy=(0.1, 0)),
    Group("shape", ("cell.nucleus_eccentricity", "cell.*_form_factor"), within=0.1),
    Group("soma", ("cell.soma_area_um2", "well.soma_area_mean"), share=0.1, accuracy=(0.15, 0)),
    Group("neurite length", ("field.neurite_length_um", "well.neurite_length_*"), share=0.05, accuracy=(0.1, 0)),
    Group("neurite form", ("field.neurite_straightness", "field.neurite_width_um", "well.straightness_mean", "well.neurite_width_mean", "well.branch_points_per_100um", "well.tips_per_100um", "well.beads_per_100um", "well.fragmentation_index", "field.neurite_branch_points", "field.neurite_tips", "field.neurite_beads", "field.neurite_area_um2"), share=0.15, within=0.2),
    Group("neurites of a neuron", ("cell.neurite_length_um", "cell.primary_neurites", "cell.neurite_tips", "cell.branch_points", "cell.max_process_um", "cell.mean_process_um", "cell.sholl_*um", "well.primary_neurites_mean", "well.max_process_mean", "well.mean_process_mean", "well.sholl_*um_mean", "*.attribution_conflict_fraction"), share=0.15, within=0.2),
    Group("contrast floor", ("*.length_ratio_floor_*",), within=0.15),
    Group("loose neurites", ("field.neurite_unattributed_um", "field.neurite_fragment_um2"), share=0.15, within=50),
    Group("DNA levels", ("*.nucleus_mean_dna", "cell.cytoplasm_mean_dna"), share=0.1, within=10),
    Group("grey levels", tuple(f"{c}_{r}" for c in ("*.nucleus_mean", "cell.cytoplasm_mean") for r in _STAINS), share=0.1, within=5),
    Group("soma levels", ("cell.soma_mean_*",), share=0.1, within=10),
    Group("summed light", ("cell.nucleus_sum_*", "cell.puncta_sum", "cell.granule_sum"), share=0.1, within=2000),
    Group("N:C", ("*.nc_log2_aggregate",), within=0.1, accuracy=(0, 0.1)),
    Group("N:C of other stains", tuple(f"*.nc_log2_{r}" for r in INTENSITY_ROLES if r != "aggregate"), within=0.3),
    Group("mislocalised", ("well.mislocalised_fraction",), within=0.05),
    Group("puncta", ("cell.puncta_count", "well.puncta_per_neuron", "well.puncta_*_fraction"), share=0.05, within=0.05, accuracy=(0.1, 0.05)),
    Group("puncta size", ("cell.puncta_area_*", "cell.puncta_largest_um2", "cell.puncta_nuclear_count", "well.puncta_area_per_neuron"), share=0.15, within=0.1),
    Group("granules", ("cell.granule_count", "well.granules_per_neuron", "well.granule_positive_fraction"), share=0.1, within=0.05, accuracy=(0.1, 0.05)),
    Group("granule size", ("cell.granule_area_*", "cell.granule_largest_um2", "cell.granule_nuclear_count", "well.granule_area_*"), share=0.1, within=0.05),
    Group("colocalisation", ("*.manders_*",), share=0.1, within=0.05),
    Group("rim", ("*.rim_*",), within=0.1),
    Group("image", ("field.background_*", "field.saturated_*", "field.focus_*", "field.plane_*", "field.uneven_*", "field.debris_fraction", "field.outside_fraction", "field.clump_count", "*.nucleus_confidence", "field.engine_agreement", "field.exposed_h"), share=0.1, within=0.1),
    Group("tracked", _every("well", "n_tracked", "lost_fraction"), share=0.05, within=0.05, assays=("film",)),
    Group("deaths", ("well.n_deaths",), share=0.1, within=0.5, accuracy=(0.2, 0.5), assays=("film",)),
    Group("survival", ("well.survival_end",), within=0.1, accuracy=(0, 0.1), assays=("film",)),
    Group("survival time", ("well.rmst_h",), share=0.05, accuracy=(0.1, 0), assays=("film",)),
    Group("hours", ("field.time_h",), within=0.1, accuracy=(0, 0.1), assays=("film",)),
    Group("place", ("field.drift_*_um", "field.turn_deg", "field.registration_quality"), within=2, accuracy=(0, 2), assays=("film",)),
)
# fmt: on

# Numbers by which rows are told apart: they say what was imaged, not what was measured.
NAMES = frozenset(
    (
        *(f"{level}.{n}" for level in ("cell", "field") for n in ("field", "frame")),
        *(f"{level}.label_version" for level in ("cell", "field", "well")),
        *("cell.label", "cell.y_um", "cell.x_um", "cell.track", "well.dose_molar"),
    )
)


@dataclass(frozen=True)
class Expectation:
    """What must hold of a group under a disturbance.

    `reason` says why it moves, in few words. `words` are part of the status, note or finding with
    which the product says that it withholds the numbers. Where the truth of a column that moves is
    known, it must move as the truth does, within `slack` times the group's tolerance.
    """

    verdict: Verdict
    reason: str = ""
    words: str = ""
    slack: float = 1.0
    follows_truth: bool = True


UNMOVED = Expectation("unmoved")
_OTHER_ASSAY = Expectation("not measured", "not in this assay")
_COARSE = Expectation("withheld", words="pixel_size_too_coarse")


@dataclass(frozen=True)
class Disturbance:
    """Something that happens to a plate, and what it may move.

    `levels` are drawn one by one, in `unit`; `where` says which wells it happens to.
    """

    name: str
    levels: tuple[float, ...]
    unit: str
    where: str
    exceptions: Mapping[str, Expectation] = field(default_factory=dict)
    default: Expectation = UNMOVED
    assay: Assay = "fixed"


def _of(expectation: Expectation, *groups: str) -> dict[str, Expectation]:
    return dict.fromkeys(groups, expectation)


def _moves(
    reason: str, *groups: str, slack: float = 1.0, follows_truth: bool = True
) -> dict[str, Expectation]:
    return _of(Expectation("moves", reason, "", slack, follows_truth), *groups)


def _either(words: str, *groups: str, slack: float = 1.0) -> dict[str, Expectation]:
    return _of(Expectation("unmoved or withheld", "", words, slack), *groups)


_IMAGE = _moves("describes the image", "image")
_LEVELS = ("DNA levels", "grey levels", "soma levels", "summed light")
_SPOTS = ("puncta", "puncta size", "granules", "granule size", "colocalisation")
_NEURITES = (
    "neurite length",
    "neurite form",
    "neurites of a neuron",
    "loose neurites",
    "contrast floor",
)
_OTHER_CELLS = {
    **_moves("other cells are in view", "area", "counts", "motor neurons", "pyknosis", "crowding"),
    **_moves("other neurites are in view", *_NEURITES),
}
_FAINT = _moves("dim spots sink below the noise", *_SPOTS, "summed light", follows_truth=False)
# What a floor of 0 would add is what lies just above the noise.
_DIM = _moves("dim lines rise above the noise or sink in it", "contrast floor")
_NO_CULTURE = {**_IMAGE, **_OTHER_CELLS}
_PLACES = {
    **_moves("where the plate lies", "place"),
    **_moves("cells left the view", "tracked", follows_truth=False),
}
_FEWER = _of(
    Expectation("unmoved or withheld", "null with too few healthy neurons to call by"),
    "mislocalised",
)
_UNPLACED = Expectation("unmoved or withheld", words="registration|placed|unusable|overlap")
_CUT_SHORT = replace(
    _UNPLACED,
    verdict="moves",
    reason="the study ends with the last frame that is placed",
    follows_truth=False,
)
_LATER = _moves(
    "one frame fewer sees a death later", "deaths", "tracked", "place", follows_truth=False
)
_LATE = _moves("deaths are dated by the next usable frame", "survival time", slack=1.5)
_WELL = "target wells"

# fmt: off
DISTURBANCES: tuple[Disturbance, ...] = (
    Disturbance("nothing", (0,), "", "whole plate"),
    Disturbance("camera offset", (-150, 100, 1000), "grey levels", "whole plate", _IMAGE),
    Disturbance("camera gain", (0.5, 2, 4), "×", "whole plate", {**_IMAGE, **_moves("the unit is the grey level", *_LEVELS)}),
    Disturbance("bit depth", (8, 10, 12), "bits", "whole plate", {**_IMAGE, **_moves("the unit is the grey level", *_LEVELS)}),
    Disturbance("clipping", (0.2, 0.9, 2), "% of pixels", "whole plate", _IMAGE, Expectation("unmoved or withheld", words="satur")),
    Disturbance("smoothing", (1,), "px", "whole plate", {**_IMAGE, **_DIM, **_moves("blurred", "puncta size", "granule size", "summed light", "rim", "colocalisation", "neurite form")}),
    Disturbance("binning", (2,), "×", "whole plate", {**_IMAGE, **_moves("coarser pixels", "shape", "neurite form", "neurites of a neuron", "summed light")}),
    Disturbance("JPEG", (95, 80), "quality", "whole plate", {**_IMAGE, **_of(Expectation("moves", "8 bits: the unit is the grey level", "compressed_with_loss"), *_LEVELS)}, Expectation("unmoved or withheld", words="compressed_with_loss")),
    Disturbance("illumination profile", (0.3, 0.6), "lost in the corners", "whole plate", _IMAGE),
    Disturbance("black margin", (0.05, 0.15, 0.25), "of the field", _WELL, _NO_CULTURE),
    Disturbance("dark margin", (0.05, 0.15, 0.25), "of the field", _WELL, _NO_CULTURE),
    Disturbance("round well wall", (0.15, 0.25), "of the field", _WELL, _NO_CULTURE),
    Disturbance("haze", (120, 300), "photo-electrons", _WELL, _IMAGE),
    Disturbance("haze of one channel", (200,), "photo-electrons", _WELL, _IMAGE),
    Disturbance("neurosphere", (150,), "µm", _WELL, {**_IMAGE, **_moves("the sphere is left out of the culture's area", "area", follows_truth=False), **_moves("the sphere hides cells", "counts", "motor neurons", "pyknosis", "crowding", *_NEURITES, slack=5)}),
    Disturbance("debris", (100, 300), "per mm²", _WELL, _IMAGE),
    Disturbance("glia", (600,), "per mm²", _WELL, {**_IMAGE, **_moves("nuclei are counted", "counts", "pyknosis", "crowding")}),
    Disturbance("hardly any neurons", (20,), "per mm²", _WELL, {**_IMAGE, **_moves("a handful of neurons", "grey levels", "soma levels", "summed light", *_SPOTS, *_NEURITES, follows_truth=False), **_moves("neurons are counted", "counts", "motor neurons", "pyknosis", "crowding")}),
    Disturbance("few neurons", (100,), "per mm²", _WELL, {**_IMAGE, **_moves("neurons are counted", "counts", "motor neurons", "pyknosis", "crowding", *_NEURITES)}),
    Disturbance("many neurons", (800,), "per mm²", _WELL, {**_IMAGE, **_moves("neurons are counted", "counts", "motor neurons", "pyknosis", "crowding"), **_moves("neurites that overlap are seen once", *_NEURITES, slack=4)}),
    Disturbance("cytoplasm width", (3, 2, 1.5, 1), "µm", _WELL, {**_IMAGE, **_moves("the soma is smaller", "soma", "soma levels", "shape", "crowding", *_NEURITES), **_moves("there is room for fewer spots", *_SPOTS, "summed light"), **_either("cytoplasm_too_thin", "N:C", "N:C of other stains", "mislocalised", "grey levels", "DNA levels")}),
    Disturbance("nucleus size", (4, 6.5), "µm", _WELL, {**_IMAGE, **_moves("the nucleus and its soma are drawn so", "nucleus", "soma", "soma levels", "shape", "crowding", "summed light", *_NEURITES, *_SPOTS)}),
    Disturbance("nuclear brightness", (300, 2000), "photo-electrons", _WELL, {**_IMAGE, **_moves("the stain is drawn so", "DNA levels", "soma levels", "summed light", "N:C of other stains"), **_moves("called by the vehicle's brightness", "pyknosis", follows_truth=False)}),
    Disturbance("N:C state", (-2, -1, 0, 3), "log2", _WELL, {**_IMAGE, **_moves("the protein is drawn so", "N:C", "mislocalised", "grey levels", "soma levels", "summed light", "colocalisation", "puncta size")}),
    Disturbance("puncta per soma", (0, 20, 60), "expected", _WELL, {**_IMAGE, **_moves("puncta are drawn so", "puncta", "puncta size", "summed light", "colocalisation"), **_moves("puncta are protein of the cytoplasm", "N:C", "mislocalised", "grey levels", "soma levels", follows_truth=False)}),
    Disturbance("noise", (2, 15, 30), "grey levels", "whole plate", {**_IMAGE, **_DIM, **_moves("area of pixels above the noise", "puncta size", "colocalisation")}),
    Disturbance("much noise", (60,), "grey levels", "whole plate", {**_IMAGE, **_DIM, **_FAINT}),
    Disturbance("finer pixels", (0.1, 0.2, 0.325), "µm", "whole plate", {**_IMAGE, **_DIM, **_moves("finer pixels", "shape", "neurite form", "neurites of a neuron", "puncta size", "granules", "granule size", "colocalisation", "rim", "summed light")}),
    Disturbance("coarser pixels", (1.0, 1.4), "µm", "whole plate", {**_IMAGE, **_DIM, **_moves("coarser pixels", "shape", "neurite form", "neurites of a neuron", "summed light", "puncta size")}),
    Disturbance("blank vehicle wells", (1, 4, 5), "of 8", "vehicle wells", _FEWER),
    Disturbance("dark vehicle wells", (1, 4, 5), "of 8", "vehicle wells", _FEWER),
    Disturbance("vehicle wells out of focus", (1, 4), "of 8", "vehicle wells", _FEWER),
    Disturbance("most vehicle wells blank", (7,), "of 8", "vehicle wells", {}, Expectation("unmoved or withheld", words="calibrat|vehicle")),
    Disturbance("most vehicle wells dark", (7,), "of 8", "vehicle wells", {}, Expectation("unmoved or withheld", words="calibrat|vehicle")),
    Disturbance("most vehicle wells out of focus", (7,), "of 8", "vehicle wells", {}, Expectation("unmoved or withheld", words="calibrat|vehicle")),
    Disturbance("all vehicle wells blank", (8,), "of 8", "vehicle wells", {}, Expectation("withheld", words="calibrat|vehicle")),
    Disturbance("all vehicle wells dark", (8,), "of 8", "vehicle wells", {}, Expectation("withheld", words="calibrat|vehicle")),
    Disturbance("other wells are vehicle", (2,), "wells", "vehicle wells", _moves("the vehicle's cells are others", "mislocalised", follows_truth=False)),
    Disturbance("vehicle with another N:C", (-1,), "log2", "vehicle wells", _moves("called by the vehicle's neurons", "mislocalised", follows_truth=False)),
    Disturbance("other wells before", (4,), "wells", "other wells"),
    Disturbance("other wells behind", (4,), "wells", "other wells"),
    Disturbance("field missing", (1,), "of 2", _WELL, {**_IMAGE, **_OTHER_CELLS, **_moves("fields are counted", "area")}),
    Disturbance("channel shifted", (2,), "px", _WELL, {**_IMAGE, **_either("shift", "N:C", "grey levels", "mislocalised", "summed light", *_SPOTS)}),
    Disturbance("nothing, no neuron dies", (0,), "", "film", assay="film"),
    Disturbance("nothing, neurons die", (0,), "", "film", assay="film"),
    Disturbance("plate moved between frames", (20, 80), "µm", "film", _PLACES, assay="film"),
    Disturbance("plate moved far between frames", (200, 300), "µm", "film", {**_PLACES, **_of(_CUT_SHORT, "area", "place", "survival", "survival time")}, _UNPLACED, assay="film"),
    Disturbance("plate turned between frames", (0.5, 1.5, 3), "°", "film", _PLACES, assay="film"),
    Disturbance("plate moved while neurons die", (80,), "µm", "film", {**_PLACES, **_moves("cells left the view", "deaths", follows_truth=False)}, assay="film"),
    Disturbance("frame missing", (1,), "of 6", "film", {**_LATER, **_LATE, **_moves("the gap stays a gap", "hours")}, assay="film"),
    Disturbance("frame is a copy", (1,), "of 6", "film", {**_LATER, **_LATE}, assay="film"),
    Disturbance("frame out of focus", (2, 4), "th of 6", "film", {**_LATER, **_LATE}, assay="film"),
    Disturbance("first or last frame out of focus", (1, 5, 6), "th of 6", "film", {**_LATER, **_moves("the study begins or ends with another frame", "survival", "survival time", follows_truth=False), "area": Expectation("moves", "the well's last time point is not usable", "unusable", follows_truth=False)}, assay="film"),
    Disturbance("frames at unequal hours", (1,), "by their dates", "film", {**_moves("hours are those of the dates", "hours"), **_moves("the film is drawn at equal hours", "deaths", "survival", "survival time", follows_truth=False)}, assay="film"),
    Disturbance("daylight saving", (1, -1), "h", "film", assay="film"),
)
# fmt: on


def published() -> list[Column]:
    """The numeric columns of cells, fields and wells that something was measured for."""
    return [
        c
        for c in COLUMNS
        if c.level in ("cell", "field", "well")
        and c.dtype.is_numeric()
        and f"{c.level}.{c.name}" not in NAMES
    ]


def groups_of(column: Column) -> list[Group]:
    """The groups that a column is in; the matrix wants exactly one."""
    name = f"{column.level}.{column.name}"
    return [g for g in GROUPS if any(fnmatchcase(name, pattern) for pattern in g.columns)]


def groups_named(*names: str) -> list[Group]:
    """The groups of these names. Raises KeyError for any other."""
    by_name = {group.name: group for group in GROUPS}
    return [by_name[name] for name in names]


def disturbance(name: str) -> Disturbance:
    """The row of this name. Raises ValueError for any other."""
    for row in DISTURBANCES:
        if row.name == name:
            return row
    raise ValueError(f"unknown disturbance {name!r}; known: {', '.join(_names())}")


def _names() -> Iterator[str]:
    return (row.name for row in DISTURBANCES)


def expected(row: Disturbance, column: Column, pixel_size_um: float) -> Expectation:
    """What must hold of a column under a disturbance.

    Examples
    --------
    >>> from phenotypes.columns.dictionary import phenotype
    >>> from phenotypes.columns.disturbances import disturbance, expected
    >>> row = disturbance("camera offset")
    >>> expected(row, phenotype("nc_log2_aggregate"), pixel_size_um=0.65).verdict
    'unmoved'
    >>> expected(row, phenotype("nc_log2_aggregate"), pixel_size_um=1.3).words
    'pixel_size_too_coarse'
    """
    (group,) = groups_of(column)
    of_group = expected_of(row, group)
    coarse = column.coarsest_pixel_um
    if of_group is _OTHER_ASSAY or coarse is None or pixel_size_um <= coarse:
        return of_group
    return _COARSE


def expected_of(row: Disturbance, group: Group) -> Expectation:
    """What must hold of a whole group, whose columns the pixels are fine enough for."""
    if row.assay not in group.assays:
        return _OTHER_ASSAY
    return row.exceptions.get(group.name, row.default)


def markdown() -> str:
    """The matrix as Markdown; `docs/disturbances.md` is this text."""
    parts = [
        "# What may move which numbers\n\nGenerated from `phenotypes/columns/disturbances.py`; do"
        " not edit. What is measured is in [the benchmarks](../benchmarks/README.md).\n\nEach"
        " disturbance is drawn on a plate whose truth is known by construction, and the plate is"
        " analysed as any other. All columns of a group stay unmoved, within the group's"
        " tolerance, unless the disturbance's row says that they move, and why, or are withheld,"
        " and with which words. A number that moves follows what was drawn, where drawings have a"
        " truth for it. Everywhere, columns that pixels are too coarse for are withheld with"
        " `pixel_size_too_coarse`, columns of single neurons with `attribution_conflict` where"
        " too many neurites cross, and means over fewer than 20 cells are null.\n\n## Groups of columns\n\n| group | unmoved within | of the"
        " truth within | columns |\n|---|---|---|---|\n"
    ]
    for group in GROUPS:
        accuracy = ""
        if group.accuracy is not None:
            accuracy = Group("", (), *group.accuracy).described()
        columns = ", ".join(f"`{pattern}`" for pattern in group.columns)
        parts.append(f"| {group.name} | {group.described()} | {accuracy} | {columns} |\n")
    parts.append(
        "\n## Disturbances\n\n| disturbance | drawn at | where | what moves, and why |"
        " otherwise |\n|---|---|---|---|---|\n"
    )
    for row in DISTURBANCES:
        levels = ", ".join(f"{level:g}" for level in row.levels)
        parts.append(
            f"| {row.name} | {levels} {row.unit} | {row.where} | {_exceptions(row)} |"
            f" {_described(row.default)} |\n"
        )
    parts.append("\n## Known not to hold yet\n\n")
    if not KNOWN_FAULTS:
        parts.append("Nothing is known.\n")
        return "".join(parts)
    parts += [f"- {fault}: {what}\n" for fault, what in FAULTS.items()]
    parts.append("\n| fault | disturbance | at | engine | groups |\n|---|---|---|---|---|\n")
    for known in KNOWN_FAULTS:
        levels = ", ".join(f"{level:g}" for level in known.levels)
        parts.append(
            f"| {known.fault} | {known.disturbance} | {levels} | {', '.join(known.engines)} |"
            f" {', '.join(known.groups)} |\n"
        )
    return "".join(parts)


def _exceptions(row: Disturbance) -> str:
    """Groups with the same expectation together."""
    together: dict[Expectation, list[str]] = {}
    for name, expectation in row.exceptions.items():
        together.setdefault(expectation, []).append(name)
    return "; ".join(f"{', '.join(g)}: {_described(e)}" for e, g in together.items())


def _described(expectation: Expectation) -> str:
    reason = expectation.reason or {
        "unmoved": "unmoved",
        "withheld": "withheld",
        "unmoved or withheld": "unmoved, or withheld",
    }.get(expectation.verdict, "")
    words = expectation.words.split("|")[0]
    return reason + (f" (`{words}`)" if words else "")
