"""The assay protocol: one TOML file that says how a plate is analysed."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from imaging_service.errors import ProtocolError

Role = Literal["dna", "neurite", "identity", "aggregate", "granule", "envelope", "death"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    # A misspelt key that is ignored would silently analyse the plate with a default.
    model_config = ConfigDict(extra="forbid", frozen=True)


class Acquisition(_Part):
    """How the scan was taken, where its own metadata does not say."""

    pixel_size_um: Positive | None = Field(
        None, description="Used where the scan carries no pixel size; must agree with it within 1 % where it does."
    )
    reader: str = Field("auto", description="tiff, harmony, ome-zarr, or auto.")
    file_pattern: str = Field(
        "auto",
        description="Name of a shipped pattern, or a regular expression with the groups well (or row and column), channel, field, z, time.",
    )
    plate_wells: int | None = Field(
        None, description="Format of the plate; the smallest that holds the scanned and mapped wells if not given."
    )
    line: str = Field("", description="Cell line of wells for which the plate map names none, for maps that know compounds only.")
    z_projection: Literal["max"] = Field("max", description="How several planes become one.")
    time_point: int | None = Field(None, ge=1, description="Which of several time points a fixed assay analyses, counted from 1.")
    frame_interval_h: Positive | None = Field(None, description="Hours between time points; a longitudinal assay needs it.")

    @field_validator("file_pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        if "(" in value:
            try:
                groups = set(re.compile(value).groupindex)
            except re.error as error:
                raise ValueError(f"the file pattern is no regular expression: {error}") from error
            if "well" not in groups and not {"row", "column"} <= groups:
                raise ValueError("the file pattern needs the named group well, or row and column")
        return value


class Segmentation(_Part):
    """Which engine, and what sizes it may expect."""

    engine: str = "motornet"
    checkpoint_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="Refuse a checkpoint file with another digest.")
    nucleus_diameter_um: Positive = 11.0
    min_nucleus_area_um2: Positive = 20.0
    neurite_width_um: Positive = 3.0
    max_soma_reach_um: Positive = 14.0


class Measurement(_Part):
    """What is measured around the labels."""

    ring_um: Positive = Field(3.0, description="Width of the cytoplasm ring around a nucleus.")
    min_branch_um: Positive = Field(5.0, description="Side branches of neurites shorter than this are artefacts of thinning.")
    min_primary_um: Positive = Field(10.0, description="Processes shorter than this are no primary neurites.")
    min_soma_area_um2: Positive = Field(40.0, description="Smaller somas are no living neurons.")
    many_puncta: int = Field(3, ge=1, description="From how many puncta on a cell counts in puncta_many_fraction.")


class Reference(_Part):
    """What is normal."""

    healthy_lines: tuple[str, ...] = Field(
        (), description="Lines whose vehicle neurons define mislocalisation; from the plate map's genotypes if not given."
    )


class Quality(_Part):
    """When a field or a well is left out, and when a field carries a warning."""

    focus_z: Positive = Field(5.0, description="Robust z of the DNA focus slope below vehicle fields at which a field is out of focus.")
    valid_fields: float = Field(0.5, ge=0, le=1, description="Share of valid fields that a well needs.")
    vehicle_z: Positive = Field(3.5, description="Robust z of live density at which a vehicle well is left out.")
    saturated: Positive = Field(0.01, description="Share of saturated pixels above which a field carries a warning.")


class Survival(_Part):
    """Longitudinal assay: every time point is analysed, neurons are tracked and their deaths timed."""

    definition: Literal["reporter_loss", "rounding", "death_dye", "gedi"]
    max_move_um: Positive = Field(15.0, description="Farthest that a soma moves between two frames.")
    max_gap: int = Field(2, ge=0, description="Frames that a neuron may be missing and still be the same.")
    edge_um: Positive = Field(15.0, description="A neuron lost nearer to the field's edge left the field.")
    round_form_factor: Positive = Field(0.85, description="A soma at least this round, twice in a row, is dead (rounding).")
    round_area: Positive = Field(0.7, description="… and at most this share of its first area.")


class Response(_Part):
    """Which well columns become rows of the response table."""

    phenotypes: tuple[str, ...] = Field(("live_density", "neurite_length_density", "neurite_length_per_neuron"), min_length=1)
    position_correction: Literal["none", "b_score"] = Field(
        "none", description="Take rows and columns off by median polish; refused, phenotype by phenotype, where lines or doses follow them."
    )


class AssayProtocol(_Part):
    """A checked protocol. Equal content gives an equal digest."""

    name: str
    notes: str = ""
    channels: dict[Role, str | int] = Field(description="Role ► the channel's name in the scan, or its number counted from 1.")
    acquisition: Acquisition = Acquisition()
    segmentation: Segmentation = Segmentation()
    measurement: Measurement = Measurement()
    reference: Reference = Reference()
    quality: Quality = Quality()
    survival: Survival | None = None
    response: Response = Response()

    @model_validator(mode="after")
    def _what_survival_needs(self) -> AssayProtocol:
        if self.survival is None:
            if "dna" not in self.channels:
                raise ValueError("channels: a fixed assay needs the role dna; a live one without DNA stain needs a [survival] section")
            return self
        if self.acquisition.time_point is not None:
            raise ValueError(
                "acquisition.time_point chooses one frame, [survival] follows neurons through all of them: drop one of the two"
            )
        if self.acquisition.frame_interval_h is None:
            raise ValueError("acquisition.frame_interval_h is missing: survival needs the hours between time points")
        if "neurite" not in self.channels:
            raise ValueError("channels: survival follows somas, so the reporter needs the role neurite")
        if self.survival.definition in ("gedi", "death_dye") and "death" not in self.channels:
            raise ValueError(f"channels: survival.definition {self.survival.definition} needs the role death")
        return self

    @field_validator("channels")
    @classmethod
    def _one_channel_each(cls, value: dict[Role, str | int]) -> dict[Role, str | int]:
        if "dna" not in value and "neurite" not in value:
            raise ValueError(
                "no channel has the role dna or neurite; nuclei, or the somas of a live reporter, are what every number is counted by"
            )
        if len(set(value.values())) < len(value):
            raise ValueError("one channel cannot have two roles")
        return value

    def digest(self) -> str:
        """SHA-256 (hex) of everything that decides numbers; the notes do not."""
        content = self.model_dump(mode="json", exclude={"notes"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_protocol(path: Path) -> AssayProtocol:
    """Read a TOML protocol. Raises ProtocolError with every fault and its key."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProtocolError(f"there is no protocol file {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"protocol {path.name} is not TOML: {error}") from error
    return parse_protocol(content, path.name)


def _explain(fault: Any) -> str:
    """Pydantic's message, or for a key that does not exist the keys that do."""
    if fault["type"] != "extra_forbidden":
        return str(fault["msg"])
    part: type[BaseModel] = AssayProtocol
    for name in fault["loc"][:-1]:
        part = type(getattr(AssayProtocol(name="", channels={"dna": 1}), str(name)))
    return f"there is no such key; known: {', '.join(part.model_fields)}"


def parse_protocol(content: dict[str, Any], source: str) -> AssayProtocol:
    """Check a protocol's content. Raises ProtocolError with every fault and its key."""
    try:
        protocol = AssayProtocol.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc']))}: {_explain(e)}" for e in error.errors()]
        raise ProtocolError(f"protocol {source} cannot be used:\n  - " + "\n  - ".join(faults)) from error
    from phenotypes.columns.dictionary import phenotype

    for name in protocol.response.phenotypes:
        try:
            phenotype(name)
        except ValueError as error:
            raise ProtocolError(f"protocol {source}: response.phenotypes: {error}") from error
    return protocol
