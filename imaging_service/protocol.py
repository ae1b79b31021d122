"""The assay protocol: one TOML file that defines how a plate is analysed."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import field, fields, is_dataclass
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass

from imaging_service.errors import ProtocolError
from imaging_service.incoming.file_pattern import FilePattern
from imaging_service.toml_text import parse_toml
from phenotypes.cells.measure import MeasureSettings
from phenotypes.columns.dictionary import phenotype
from phenotypes.films.deaths import DeathSettings, Definition
from phenotypes.films.tracking import TrackSettings
from phenotypes.plates.calls import CallSettings
from phenotypes.plates.quality.limits import QualityLimits
from phenotypes.plates.wells import WellSettings
from segmentation.engines.registry import DEFAULT_ENGINE
from segmentation.settings import STRICT, Positive, meaning
from segmentation.sizes import Sizes

Role = Literal["dna", "neurite", "identity", "aggregate", "granule", "envelope", "death"]
# Keys that came after version 0.2.0. At their defaults they are left out of the digest, so that
# older protocols keep their digest and older runs their id.
LATER = {
    "acquisition": ("measurement", "flat_field"),
    "segmentation": ("neurite_contrast", "neurite_probability", "accuracy"),
    "measurement": (
        "primary_ring_um",
        "bead_length_um",
        "bead_width",
        "fragment_area_um2",
        "fragment_circularity",
        "max_conflict",
        "min_cells",
        "min_vehicle_wells",
    ),
    "reference": ("pyknotic_area", "pyknotic_dna", "mislocalised_percentile"),
    "quality": ("uneven", "debris", "confluence", "trend_p", "autofluorescent_z"),
    "survival": (
        "jump_um",
        "sensor_share",
        "absent_frames",
        "merged_growth",
        "max_drift",
        "blurred_slope",
    ),
}


class _Part(BaseModel):
    model_config = ConfigDict(**STRICT, frozen=True)


class Acquisition(_Part):
    """How the scan was taken, where its own metadata does not say."""

    pixel_size_um: Positive | None = Field(
        None,
        description=(
            "µm per pixel, where the scan states none or a wrong one; a note of the run names both."
        ),
    )
    reader: str = Field(
        "auto",
        description="tiff, harmony, cellvoyager, jdce, ome-tiff, ome-zarr, bioio, or auto.",
    )
    measurement: str = Field(
        "",
        description=(
            "Name of the plate, measurement or acquisition to read where the scan holds several."
        ),
    )
    file_pattern: str = Field(
        "auto",
        description=(
            "Name of a shipped pattern, or a regular expression with the groups well (or row and"
            " column), channel, field, z, time."
        ),
    )
    plate_wells: int | None = Field(
        None,
        description=(
            "Format of the plate; the smallest that holds the scanned and mapped wells if not"
            " given."
        ),
    )
    line: str = Field(
        "",
        description=(
            "Cell line of wells for which the plate map names none, for maps that know compounds"
            " only."
        ),
    )
    z_projection: Literal["max", "best_focus"] = Field(
        "max",
        description=(
            "How several planes become one: the maximum of each pixel, or for each field and"
            " channel its plane in best focus."
        ),
    )
    flat_field: Literal["auto", "estimated", "none"] = Field(
        "auto",
        description=(
            "How uneven light is corrected: by the instrument's profile where the scan has one and"
            " by an estimated one elsewhere, always by an estimated one, or not."
        ),
    )
    time_point: int | None = Field(
        None,
        ge=1,
        description="Which of several time points a fixed assay analyses, counted from 1.",
    )
    frame_interval_h: Positive | None = Field(
        None,
        description=(
            "Hours between two numbers of time points; a longitudinal assay needs it. Where the"
            " scan records times, those are used, and a contradiction is a note of the run."
        ),
    )

    @field_validator("file_pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        if "(" in value:
            try:
                groups = FilePattern(value).groups
            except ValueError as error:
                raise ValueError(
                    f"the file pattern is not a regular expression: {error}"
                ) from error
            if "well" not in groups and not {"row", "column"} <= groups:
                raise ValueError("the file pattern needs the named group well, or row and column")
        return value


# A section of the protocol inherits the settings of the functions that it configures, so that each
# default, bound and meaning is written once.


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Segmentation(Sizes):
    """Which engine labels the fields, and the sizes that it may expect."""

    engine: str = DEFAULT_ENGINE
    checkpoint_sha256: Annotated[
        str | None,
        Field(pattern="^[0-9a-f]{64}$"),
        meaning("Refuse a checkpoint file with another digest."),
    ] = None
    neurite_probability: Annotated[
        float | None,
        Field(gt=0, lt=1),
        meaning(
            "The network's probability at which a pixel is neurite; the engine's if not given."
        ),
    ] = None
    accuracy: Annotated[
        Literal["standard", "high"],
        meaning("`high`: motornet sees each field in four mirrorings, in four times the time."),
    ] = "standard"

    def settings_digest(self) -> str:
        """SHA-256 (hex) of what an accuracy holds for, apart from the engine and its weights."""
        values = TypeAdapter(Segmentation).dump_python(self, mode="json")
        kept = {k: v for k, v in values.items() if k not in ("engine", "checkpoint_sha256")}
        if self.accuracy == "standard":
            # As of protocols from before there was a choice.
            del kept["accuracy"]
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Measurement(WellSettings, MeasureSettings):
    """What is measured around the labels, and which cells count in a well's numbers."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Reference(CallSettings):
    """What counts as normal."""

    healthy_lines: Annotated[
        tuple[str, ...],
        meaning(
            "Lines whose vehicle neurons define mislocalisation; from the plate map's genotypes if"
            " not given."
        ),
    ] = ()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Survival(TrackSettings, DeathSettings):
    """Longitudinal assay: neurons are tracked through all time points, their deaths timed."""

    # No default: the user chooses the definition that deaths are timed by.
    definition: Definition = field(kw_only=True)


class Response(_Part):
    """Which well columns become rows of the response table."""

    phenotypes: tuple[str, ...] = Field(
        ("live_density", "neurite_length_density", "neurite_length_per_neuron"), min_length=1
    )
    position_correction: Literal["none", "b_score"] = Field(
        "none",
        description=(
            "Take rows and columns off by median polish; refused, phenotype by phenotype, where"
            " lines or doses follow them."
        ),
    )


Figure = Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]


class Accuracy(_Part):
    """How well an engine agrees with traced fields of this assay; `calibrate` writes it.

    It decides no number. A figure is (value, low, high), or (value,) where too few wells were
    traced for an interval. It holds for one engine, its weights and the settings of
    [segmentation], and for no other.
    """

    engine: str
    weights_sha256: str = ""
    settings_sha256: str
    fields: int = Field(ge=1)
    wells: int = Field(ge=1)
    runs: tuple[str, ...] = Field(min_length=1, description="Runs whose fields were traced.")
    figures: dict[str, Figure]


class AssayProtocol(_Part):
    """A checked protocol. Equal content gives an equal digest.

    Examples
    --------
    >>> from imaging_service import AssayProtocol
    >>> protocol = AssayProtocol(name="two stains", channels={"dna": 1, "neurite": 2})
    >>> protocol.segmentation.engine
    'motornet'
    """

    name: str
    notes: str = ""
    channels: dict[Role, str | int] = Field(
        description="Role ► the channel's name in the scan, or its number counted from 1."
    )
    acquisition: Acquisition = Acquisition()
    segmentation: Segmentation = Segmentation()
    measurement: Measurement = Measurement()
    reference: Reference = Reference()
    quality: QualityLimits = QualityLimits()
    survival: Survival | None = None
    response: Response = Response()
    accuracy: Accuracy | None = None

    @model_validator(mode="after")
    def _what_survival_needs(self) -> AssayProtocol:
        if self.survival is None:
            return self
        if self.acquisition.time_point is not None:
            raise ValueError(
                "acquisition.time_point chooses one frame, [survival] follows neurons through all"
                " of them: remove one of the two"
            )
        if self.acquisition.frame_interval_h is None:
            raise ValueError(
                "acquisition.frame_interval_h is missing: survival needs the hours between time"
                " points"
            )
        if "neurite" not in self.channels:
            raise ValueError(
                "channels: survival follows somas, so the reporter needs the role neurite"
            )
        if self.survival.definition in ("gedi", "death_dye") and "death" not in self.channels:
            raise ValueError(
                f"channels: survival.definition {self.survival.definition} needs the role death"
            )
        return self

    @field_validator("channels")
    @classmethod
    def _one_channel_each(cls, value: dict[Role, str | int]) -> dict[Role, str | int]:
        if "dna" not in value and "neurite" not in value:
            raise ValueError(
                "no channel has the role dna or neurite: give one to the channel of the nuclei, or"
                " of a live reporter's somas, by which every number is counted"
            )
        if len(set(value.values())) < len(value):
            raise ValueError("one channel cannot have two roles; give each role its own channel")
        return value

    def digest(self) -> str:
        """SHA-256 (hex) of everything that decides numbers; notes and accuracy are left out."""
        content = self.model_dump(mode="json", exclude={"notes", "accuracy"})
        for section, keys in LATER.items():
            part = getattr(self, section)
            defaults = {} if part is None else _defaults(part)
            for key in (k for k in keys if k in defaults and getattr(part, k) == defaults[k]):
                del content[section][key]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _defaults(part: Any) -> dict[str, Any]:
    if isinstance(part, BaseModel):
        return {name: info.default for name, info in type(part).model_fields.items()}
    return {f.name: f.default for f in fields(part)}


def load_protocol(path: str | PathLike[str]) -> AssayProtocol:
    """Read a TOML protocol. Raises ProtocolError with every fault and its key.

    Examples
    --------
    >>> import imaging_service
    >>> imaging_service.load_protocol("protocol.toml").segmentation.engine
    'classical'
    """
    path = Path(path)
    try:
        content = parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProtocolError(
            f"there is no protocol file {path}; give the path of a TOML file"
        ) from error
    except OSError as error:
        raise ProtocolError(
            f"protocol {path} cannot be read: {error.strerror}; give the path of a TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"protocol {path.name} is not TOML: {error}") from error
    return parse_protocol(content, path.name)


def keys_of(part: type[Any]) -> tuple[str, ...]:
    """Names of the keys of a section of the protocol, or of the protocol itself."""
    if issubclass(part, BaseModel):
        return tuple(part.model_fields)
    return tuple(f.name for f in fields(part))


def sections() -> dict[str, type[Any]]:
    """Section ► the class that defines its keys."""
    classes = {}
    for name, described in AssayProtocol.model_fields.items():
        for kind in (described.annotation, *get_args(described.annotation)):
            if isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind)):
                classes[name] = kind
    return classes


def _explain(fault: Any) -> str:
    """Key and what is wrong with it: pydantic's message, or the keys or roles that there are."""
    places = tuple(map(str, fault["loc"]))
    if places[:1] == ("channels",) and places[-1] == "[key]":
        return f"channels.{places[1]}: there is no such role; known: {', '.join(get_args(Role))}"
    key = ".".join(places)
    if fault["type"] not in ("extra_forbidden", "unexpected_keyword_argument"):
        sentence = str(fault["msg"]).removeprefix("Value error, ")
        return f"{key}: {sentence}" if key else sentence
    known = keys_of(sections()[places[0]] if len(places) > 1 else AssayProtocol)
    near = get_close_matches(places[-1], known, n=1)
    nearest = f"; the nearest: {near[0]}" if near else ""
    return f"{key}: there is no such key{nearest}; known: {', '.join(known)}"


def parse_protocol(content: dict[str, Any], source: str) -> AssayProtocol:
    """Check a protocol's content. Raises ProtocolError with every fault and its key."""
    try:
        protocol = AssayProtocol.model_validate(content)
    except ValidationError as error:
        faults = [_explain(e) for e in error.errors()]
        raise ProtocolError(
            f"protocol {source} cannot be used:\n  - " + "\n  - ".join(faults)
        ) from error
    for name in protocol.response.phenotypes:
        try:
            phenotype(name)
        except ValueError as error:
            raise ProtocolError(f"protocol {source}: response.phenotypes: {error}") from error
    return protocol
