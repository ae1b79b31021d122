"""A release in preparation: its folder, its form `release.toml`, and its secret.

    RELEASE/
        release.toml   what is released, for whom, by whom; filled in by a person
        secret.key     32 random bytes that export ids and dates are made with

Neither ever goes into a bundle.
"""

from __future__ import annotations

import json
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from imaging_service.errors import ReleaseRefused
from imaging_service.files import write_bytes
from imaging_service.incoming.s3 import on_disk
from imaging_service.release.acquisition import AcquisitionCard, read_card
from imaging_service.release.gate.consent import Tier
from imaging_service.toml_text import parse_toml

Text = Annotated[str, Field(min_length=1)]
Licence = Literal["CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", "controlled access"]
LICENCE_URLS: Mapping[str, str] = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-NC-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
}
LEDGER = "releases.jsonl"
_SECRET_BYTES = 32
_STRICT = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Author(BaseModel):
    """An author of the release, named in public."""

    model_config = _STRICT

    first_name: Text
    last_name: Text
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    affiliation: Text
    affiliation_url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    orcid: Annotated[
        str, Field(pattern=r"^(https://orcid\.org/\d{4}-\d{4}-\d{4}-\d{3}[\dX])?$")
    ] = ""


class Stain(BaseModel):
    """One channel: what shows what."""

    model_config = _STRICT

    channel: Text
    fluorophore: Text
    target: Text
    antibody_rrid: Annotated[str, Field(pattern=r"^(RRID:AB_\d+)?$")] = ""


class AcquisitionForm(BaseModel):
    """How the images were taken; prefilled from the vendor's metadata."""

    model_config = _STRICT

    instrument: Text
    objective: Text
    numerical_aperture: Text
    imaging_method: Text
    fbbi: Annotated[str, Field(pattern=r"^FBbi:\d{8}$")]
    plate_type: Text
    plate_manufacturer: Text
    plate_catalogue: str = ""
    channels: tuple[Stain, ...] = Field(min_length=1)


class ReleaseForm(BaseModel):
    """`release.toml`, filled in.

    `title` and `description` have at least 25 characters because REMBI asks for them. Paths are of
    this machine; `acquired` maps a plate's name to the date of its first image.
    """

    model_config = _STRICT

    tier: Tier
    title: Annotated[str, Field(min_length=25)]
    description: Annotated[str, Field(min_length=25)]
    keywords: tuple[Text, ...] = Field(min_length=1)
    licence: Licence
    release_date: date
    publisher: Text
    repository: Text
    program: str = ""
    funding: str = ""
    authors: tuple[Author, ...] = Field(min_length=1)
    screen: Path
    runs: tuple[Path, ...] = Field(min_length=1)
    ledger: Path
    exclude_lines: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    pixels: bool = True
    cross_donor_rows: bool = True
    withdrawn_in_calibration: bool = False
    sample_preparation: Text
    growth_protocol: Text
    acquisition: AcquisitionForm
    acquired: dict[str, datetime] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _licence_fits(self) -> ReleaseForm:
        if (self.licence == "controlled access") != (self.tier is Tier.CONTROLLED):
            raise ValueError(
                f"licence {self.licence!r} does not fit tier {self.tier.value!r}: an open release"
                " has a Creative Commons licence, a controlled one 'controlled access'"
            )
        return self


def new_release(
    folder: Path, screen: Path, runs: Sequence[Path], tier: Tier, ledger: Path | None = None
) -> Path:
    """Begin a release: make its folder with a form to fill in, and its secret. Returns the form.

    `ledger` is that of the laboratory, for all its screens. If it is not given, it is one in the
    screen's folder, or else beside that folder, where other screens have it too. Raises
    ReleaseRefused where the folder has a release already, or a run has no record.
    """
    path = folder / "release.toml"
    if path.exists() or secret_path(folder).exists():
        raise ReleaseRefused(f"{folder} has a release already; give another folder")
    cards: dict[str, AcquisitionCard] = {}
    for run in runs:
        record = run_record(run)
        cards[record["plate_name"]] = read_card(Path(record["inputs"].get("scan", "")))
    content = _template(
        tier,
        screen.resolve(),
        [run.resolve() for run in runs],
        (ledger or _ledger_of(screen.resolve())).resolve(),
        cards,
        run_record(runs[0]).get("channels", []) if runs else [],
    )
    write_bytes(path, content.encode())
    secret_path(folder).touch(mode=0o600)
    secret_path(folder).write_bytes(secrets.token_bytes(_SECRET_BYTES))
    return path


def _ledger_of(screen: Path) -> Path:
    inside = screen / LEDGER
    return inside if inside.is_file() else screen.parent / LEDGER


def secret_path(folder: Path) -> Path:
    """Where a release's secret lies."""
    return folder / "secret.key"


def read_secret(folder: Path) -> bytes:
    """The release's secret. Raises ReleaseRefused where it is missing or was cut."""
    path = secret_path(folder)
    if not path.is_file() or len(path.read_bytes()) != _SECRET_BYTES:
        raise ReleaseRefused(
            f"{path} is missing or damaged; begin the release anew: imaging-service release new"
        )
    return path.read_bytes()


def read_form(folder: Path) -> ReleaseForm:
    """Read and check `release.toml`. Raises ReleaseRefused with every fault and its key."""
    path = folder / "release.toml"
    if not path.is_file():
        raise ReleaseRefused(
            f"{folder} is not a release: it has no release.toml; begin one with: imaging-service"
            f" release new {folder}"
        )
    try:
        return ReleaseForm.model_validate(parse_toml(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ReleaseRefused(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'form'}: {e['msg']}" for e in error.errors()]
        raise ReleaseRefused(f"{path} is not filled in:\n  - " + "\n  - ".join(faults)) from error


def run_record(run: Path) -> dict[str, Any]:
    """The record of a finished run. Raises ReleaseRefused."""
    path = on_disk(run) / "run.json"
    if not path.is_file():
        raise ReleaseRefused(
            f"{run} is not a finished run: it has no run.json; give the --out folder of"
            " imaging-service analyze"
        )
    record: dict[str, Any] = json.loads(path.read_bytes())
    return record


def _template(
    tier: Tier,
    screen: Path,
    runs: Sequence[Path],
    ledger: Path,
    cards: Mapping[str, AcquisitionCard],
    channels: Sequence[str],
) -> str:
    card = next(iter(cards.values()), AcquisitionCard())
    licence = "controlled access" if tier is Tier.CONTROLLED else "CC-BY-4.0"
    quoted = json.dumps  # json's strings are TOML's basic strings
    stains = [
        f'[[acquisition.channels]]\nchannel = {quoted(c)}\nfluorophore = ""\ntarget = ""\n'
        'antibody_rrid = ""  # RRID:AB_…\n'
        for c in channels or [""]
    ]
    dates = [
        f"{quoted(name)} = {of_plate.acquired.isoformat()}"
        for name, of_plate in cards.items()
        if of_plate.acquired is not None
    ]
    return f"""# Fill in every empty text, then: imaging-service release check FOLDER
tier = {quoted(tier.value)}  # open: anyone may read it; controlled: on request
title = ""  # 25 characters or more
description = ""  # 25 characters or more
keywords = []
licence = {quoted(licence)}
release_date = {date.today().isoformat()}
publisher = ""
repository = ""  # where it will be deposited, such as Synapse
program = ""
funding = ""
sample_preparation = ""  # how cells were fixed and stained, or kept alive
growth_protocol = ""  # DOI, or how motor neurons were made
screen = {quoted(str(screen), ensure_ascii=False)}
runs = {quoted([str(run) for run in runs], ensure_ascii=False)}
ledger = {quoted(str(ledger), ensure_ascii=False)}
exclude_lines = []  # lines that stay at home
secrets = []  # names, initials and other texts that must not be in any file
pixels = true  # images and labels go with the tables
cross_donor_rows = true  # means over donors; false where they would give single donors away
withdrawn_in_calibration = false  # true: plates stay as they were analysed before a donor withdrew

[[authors]]
first_name = ""
last_name = ""
email = ""
affiliation = ""
affiliation_url = ""
orcid = ""  # https://orcid.org/…

[acquisition]
instrument = {quoted(card.instrument, ensure_ascii=False)}
objective = {quoted(card.objective, ensure_ascii=False)}
numerical_aperture = {quoted(card.numerical_aperture)}
imaging_method = {quoted(card.imaging_method)}
fbbi = {quoted(card.fbbi)}  # term of the Biological Imaging Methods Ontology
plate_type = {quoted(card.plate_type, ensure_ascii=False)}
plate_manufacturer = ""
plate_catalogue = ""

{"".join(stains)}
# Plate ► date of its first image; the release moves it by a secret number of days.
[acquired]
{chr(10).join(dates)}
"""
