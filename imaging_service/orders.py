"""Messages about what the service makes on order: screens, and exports of tables."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from imaging_service.schemas import Sent

OrderState = Literal["queued", "running", "waiting", "done", "failed"]
MOST_RUNS = 500
ExportFormat = Literal["csv", "parquet", "arrow"]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ScreenRun(Sent):
    """A run that a screen is made of."""

    model_config = ConfigDict(extra="forbid")

    run: str = Field(
        min_length=6, max_length=64, description="The run's id or the beginning of one."
    )
    lab: str = Field(
        "",
        max_length=100,
        description="Laboratory of the plate; tells batches of the same name apart.",
    )


class NewScreen(Sent):
    """A screen to build and fit.

    Lines, batches and compounds come from the registry of the project's laboratory.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["als-2026"]
    )
    runs: list[ScreenRun] = Field(min_length=1, max_length=MOST_RUNS)
    healthy_lines: list[_Name] | None = Field(
        None,
        max_length=1000,
        description="All lines without disease; [] where there is none. If not given, from the"
        " registry, else from genotypes.",
    )
    effect_dose_molar: dict[_Name, _Positive] = Field(
        {}, max_length=10_000, description="Compound ► dose in mol/L at which lines are compared."
    )
    effect_floor: dict[_Name, _Positive] = Field(
        {}, max_length=100, description="Phenotype ► least effect of a hit."
    )
    robust_curves: bool = Field(False, description="Weigh batch means far from their curve less.")


class ScreenProgress(BaseModel):
    """How far a screen is: plates whose tables were taken in, then the fit of all."""

    gathered: int
    plates: int


class ScreenState(BaseModel):
    """A screen of the service. Its tables and report exist once it is done."""

    id: str = Field(examples=["5b0e9d2a41b7c3d0"])
    name: str
    project: str
    state: OrderState
    reason: str = Field("", description="Why it failed, or what it waits for.")
    progress: ScreenProgress
    rows: int | None = Field(None, description="line × compound × phenotype, once it is done.")
    hits: int | None = None
    author: str
    submitted_at: datetime


class NewExport(Sent):
    """Tables to write: of a run, or of a screen of the project."""

    model_config = ConfigDict(extra="forbid")

    run: str = Field("", max_length=64, description="The run's id or the beginning of one.")
    screen: str = Field("", max_length=64, description="The screen's id.")
    tables: list[Annotated[str, Field(max_length=40)]] = Field(
        [], max_length=20, description="All that there are, if not given.", examples=[["wells"]]
    )
    format: ExportFormat = Field("parquet", description="csv, parquet or arrow.")

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        if bool(self.run) == bool(self.screen):
            raise ValueError("an export is of a run or of a screen: name one of them")
        return self


class ExportProgress(BaseModel):
    """How far an export is."""

    written: int
    tables: int


class ExportState(BaseModel):
    """An export of the service. Its file exists once it is done."""

    id: str = Field(examples=["9a1c9d2a41b7c3d0"])
    project: str
    run: str = Field(description="Empty for an export of a screen.")
    screen: str = Field(description="Empty for an export of a run.")
    revision: int = Field(description="Of the run's review, as its tables have it; 0 of a screen.")
    tables: list[str]
    format: ExportFormat
    state: OrderState
    reason: str = Field("", description="Why it failed, or what it waits for.")
    progress: ExportProgress
    size: int | None = Field(None, description="Bytes of the zip, once it is done.")
    sha256: str | None = Field(None, description="Of the zip, once it is done.")
    author: str
    submitted_at: datetime
