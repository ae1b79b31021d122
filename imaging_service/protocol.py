"""The assay protocol: one TOML file that says how a plate is analysed."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from imaging_service.errors import ProtocolError

Role = Literal["dna", "neurite", "identity", "aggregate", "death"]
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
    z_projection: Literal["max"] = Field("max", description="How several planes become one.")
    time_point: int | None = Field(None, ge=1, description="Which of several time points is analysed, counted from 1.")

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


class Response(_Part):
    """Which well columns become rows of the response table."""

    phenotypes: tuple[str, ...] = Field(("live_density", "neurite_length_density", "neurite_length_per_neuron"), min_length=1)


class AssayProtocol(_Part):
    """A checked protocol. Equal content gives an equal digest."""

    name: str
    notes: str = ""
    channels: dict[Role, str | int] = Field(description="Role ► the channel's name in the scan, or its number counted from 1.")
    acquisition: Acquisition = Acquisition()
    segmentation: Segmentation = Segmentation()
    measurement: Measurement = Measurement()
    response: Response = Response()

    @field_validator("channels")
    @classmethod
    def _one_channel_each(cls, value: dict[Role, str | int]) -> dict[Role, str | int]:
        if "dna" not in value:
            raise ValueError("no channel has the role dna; nuclei are what every number is counted by")
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
    from phenotypes.columns import phenotype

    for name in protocol.response.phenotypes:
        try:
            phenotype(name)
        except ValueError as error:
            raise ProtocolError(f"protocol {source}: response.phenotypes: {error}") from error
    return protocol
