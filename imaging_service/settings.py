"""Settings of the service, from environment variables that start with `IMAGING_SERVICE_`."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from imaging_service.errors import SettingsRefused
from imaging_service.incoming.s3 import on_disk, place

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# The project of all that was not given another.
LOCAL_PROJECT = "default"


class Settings(BaseSettings):
    """Where files are stored, which scans may be read, and how many processes work."""

    model_config = SettingsConfigDict(env_prefix="IMAGING_SERVICE_", extra="ignore")

    data_dir: Path = Field(
        Path("imaging-service-data"), description="Plates, runs and the embedded database."
    )
    database_url: str = Field(
        "", description="SQLAlchemy URL; empty means an SQLite file in data_dir."
    )
    scan_roots: str = Field(
        "",
        description=(
            "Folders, also s3://BUCKET/FOLDER, under which scans may be submitted by path,"
            f" separated by {os.pathsep!r}; empty means data_dir/scans only."
        ),
    )
    workers: int = Field(0, ge=0, description="Processes that analyse wells; 0 means one per core.")
    worker_name: str = Field(
        "",
        max_length=60,
        pattern=r"^[A-Za-z0-9._-]*$",
        description=(
            "Name of this worker, the same after each start; the machine's if not given. Several"
            " workers on one database and data folder each need their own."
        ),
    )
    dask_scheduler: str = Field(
        "",
        description="Address of a shared Dask scheduler, tls:// only; empty means a local cluster.",
    )
    poll_seconds: float = Field(
        0.2, gt=0, description="How often the worker looks for queued wells."
    )

    patience_hours: float = Field(
        12,
        ge=0,
        description=(
            "How long a run waits for a scan folder, disk or database that is away before its"
            " wells fail."
        ),
    )
    reading_minutes: float = Field(
        60, gt=0, description="How long a submission may take to be read and hashed."
    )

    public_url: str = Field(
        "",
        pattern=r"^(https://[A-Za-z0-9.:\[\]-]+)?$",
        description=(
            "https:// address under which people reach the service; needed to listen on any but"
            " loopback."
        ),
    )
    tls_certificate: Path | None = Field(
        None, description="Certificate chain (PEM), where the service itself speaks TLS."
    )
    tls_key: Path | None = Field(None, description="The certificate's private key (PEM).")
    proxy: str = Field(
        "",
        description=(
            "Addresses or networks, separated by commas, of the proxy that speaks TLS in place of"
            " the service; requests from any other address are refused."
        ),
    )
    oidc_issuer: str = Field(
        "", description="Address of the OpenID Connect provider that members sign in at."
    )
    oidc_client_id: str = Field("", description="The service's name at the provider.")
    oidc_client_secret_file: Path | None = Field(
        None, description="File with the service's secret at the provider."
    )

    @field_validator("data_dir")
    @classmethod
    def _on_disk(cls, folder: Path) -> Path:
        return on_disk(folder)

    @property
    def names(self) -> frozenset[str]:
        """Host names under which the service is reached, besides those of loopback."""
        host = urlsplit(self.public_url).hostname
        return frozenset() if host is None else frozenset({host})

    def project_root(self, project: str) -> Path:
        """The folder of a project's uploads, scans and plates.

        What a service without keys works on, and earlier releases wrote, lies in the data folder
        itself.
        """
        root = self.data_dir.resolve()
        return root if project == LOCAL_PROJECT else root / "projects" / project

    @property
    def url(self) -> str:
        """Database URL with the default filled in."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'service.db').resolve()}"

    @property
    def roots(self) -> tuple[Path, ...]:
        """Resolved folders that scans may be in."""
        given = _listed(self.scan_roots)
        return tuple(p.resolve() for p in [*given, self.data_dir / "scans"])

    def roots_of(self, project: str, lab: str) -> tuple[Path, ...]:
        """Resolved folders that scans of a project may be in.

        Of a scan root a laboratory reaches only the folder that is named after it: `ROOT/LAB`. The
        local project reaches all.
        """
        if project == LOCAL_PROJECT:
            return self.roots
        given = [p / lab for p in _listed(self.scan_roots)]
        return tuple(p.resolve() for p in [*given, self.project_root(project) / "scans"])

    def run_root(self, run_id: str) -> Path:
        """The folder of a run's files."""
        return self.data_dir.resolve() / "runs" / run_id


def _listed(roots: str) -> list[Path]:
    """Folders of a list; the colon of s3:// does not end one. Raises ScanError."""
    end = re.escape(os.pathsep)
    return [place(p) for p in re.findall(rf"(?:(?<![^{end}])s3://(?:[^/]*@)?)?[^{end}]+", roots)]


@lru_cache
def settings() -> Settings:
    """The process's settings, read once. Raises SettingsRefused, with variable and fault."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [
            f"IMAGING_SERVICE_{str(fault['loc'][0]).upper()}={fault['input']}: {_fault(fault)}"
            for fault in error.errors()
        ]
        raise SettingsRefused("; ".join(faults)) from error


def _fault(fault: ErrorDetails) -> str:
    """Pydantic's sentence, and what the setting takes where that is a pattern."""
    described = Settings.model_fields[str(fault["loc"][0])].description or ""
    of_pattern = fault["type"] == "string_pattern_mismatch"
    return f"it takes: {described}" if of_pattern else fault["msg"].removeprefix("Value error, ")
