"""Messages about exports: tables of a run or a screen as one file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from imaging_service.schemas import Sent

ExportFormat = Literal["csv", "parquet", "arrow"]
ExportJobState = Literal["queued", "running", "waiting", "done", "failed"]


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
    state: ExportJobState
    reason: str = Field("", description="Why it failed, or what it waits for.")
    progress: ExportProgress
    size: int | None = Field(None, description="Bytes of the zip, once it is done.")
    sha256: str | None = Field(None, description="Of the zip, once it is done.")
    author: str
    submitted_at: datetime
