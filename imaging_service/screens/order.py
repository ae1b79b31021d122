"""A screen that was ordered as a whole: what it is made of, its id, and its folder from nothing.

An order holds the runs with the revisions of their tables, the settings and the registries as they
were. Its id is the digest of all of it, so the same inputs are the same screen, and a run that was
reviewed since makes another one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from imaging_service import __version__
from imaging_service.errors import ScreenError
from imaging_service.files import write_bytes
from imaging_service.review.local import review_state
from imaging_service.screens.folder import add_run, fit, settings_of
from imaging_service.screens.remarks import ScreenFile

_FILE = "order.json"
_REGISTRIES = {
    "lines": "lines.tsv",
    "batches": "batches.tsv",
    "compounds": "compound_registry.tsv",
}


class OrderedRun(BaseModel):
    """A run of an order, with the revision of the review that its tables stood at.

    `submitted_at` is None in orders from before it was kept. A run that was removed and submitted
    again has its id, attempt and revision from before, and tables that need not be the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    lab: str = ""
    revision: int = 1
    attempt: int = 1
    submitted_at: datetime | None = None


class ScreenOrder(BaseModel):
    """What a screen is made of. Registries are the text of their files; empty, there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str
    settings: ScreenFile
    runs: tuple[OrderedRun, ...]
    lines: str = ""
    batches: str = ""
    compounds: str = ""
    software_version: str = __version__

    @property
    def id(self) -> str:
        """Digest of the order: 16 hexadecimal digits. The order of its runs does not count."""
        plain = self.model_dump(mode="json")
        plain["runs"] = sorted(plain["runs"], key=lambda run: str(run["run"]))
        text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def lay_out(order: ScreenOrder, folder: Path) -> None:
    """Write what a screen begins with; a folder that has it already stays as it is.

    Raises ScreenError for settings that no screen can have.
    """
    for kind, name in _REGISTRIES.items():
        if text := getattr(order, kind):
            write_bytes(folder / name, text.encode())
    write_bytes(folder / "screen.toml", _toml(order.settings).encode())
    try:
        settings_of(folder)
    except ScreenError:
        shutil.rmtree(folder)
        raise
    write_bytes(folder / _FILE, order.model_dump_json(indent=1).encode())


def read_order(folder: Path) -> ScreenOrder:
    """The order of a screen's folder. Raises ScreenError where it cannot be read."""
    try:
        return ScreenOrder.model_validate_json((folder / _FILE).read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise ScreenError(
            f"screen {folder.name} has no order that can be read ({error}); order it again"
        ) from error


def gather(folder: Path, run_folder: Path, ordered: OrderedRun) -> None:
    """Take a run's tables into the screen; once is enough, and again changes nothing.

    Raises ScreenError where the run's tables are no longer those that were ordered.
    """
    if not (folder / "plates" / ordered.run).is_dir():
        add_run(folder, run_folder, ordered.lab)
    state = review_state(run_folder)
    if state.applied != ordered.revision:
        # What was just taken in is of other labels than the order's id says.
        shutil.rmtree(folder / "plates" / ordered.run, ignore_errors=True)
        raise ScreenError(
            f"run {ordered.run[:12]} was reviewed since the screen was ordered (its tables stand at"
            f" revision {state.applied}, ordered was {ordered.revision}); order the screen again"
        )


def fit_order(folder: Path, earlier: Path | None = None) -> dict[str, int]:
    """Fit the screen; returns its numbers of `rows`, `hits` and of rows `refitted` now.

    `earlier` is the folder of another screen: rows whose input is the same there are not fitted
    again.
    """
    fits = folder / "fits.parquet"
    if earlier is not None and not fits.is_file() and (earlier / fits.name).is_file():
        write_bytes(fits, (earlier / fits.name).read_bytes())
    fitted = fit(folder)
    responses = fitted.tables.responses
    return {
        "rows": len(responses),
        "hits": int(responses["hit"].fill_null(value=False).sum()),
        "refitted": fitted.tables.refitted,
    }


def _toml(settings: ScreenFile) -> str:
    """`screen.toml` of the settings that are not at their defaults.

    TOML's strings, numbers, booleans and arrays are written as JSON's are.
    """

    def written(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    plain = settings.model_dump(mode="json", exclude_defaults=True)
    tables = {key: value for key, value in plain.items() if isinstance(value, dict)}
    text = "".join(f"{k} = {written(v)}\n" for k, v in plain.items() if k not in tables)
    return text + "".join(
        f"\n[{key}]\n" + "".join(f"{written(name)} = {written(v)}\n" for name, v in table.items())
        for key, table in tables.items()
    )
