"""Texts that no file of a release may hold: what the laboratory calls things and people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from phenotypes.columns.dictionary import COLUMNS
from phenotypes.columns.statuses import STATUSES
from plate_maps.registry import Batch, Line

# A shorter text, or a number, is in every file by chance.
_LEAST, _LEAST_DIGITS = 2, 6
# What every bundle holds: names of columns, statuses, and of wells.
_EVERYWHERE = frozenset(
    {c.name for c in COLUMNS}
    | {status.value for statuses in STATUSES.values() for status in statuses}
    | {
        "none",
        "vehicle",
        "positive",
        "negative",
        "healthy",
        "corrected",
        "familial",
        "sporadic",
        "disease",
    }
)
_WELL = re.compile(r"^[A-P][0-4][0-9]$")
# Folders of systems and of this service, whose names are words of any text.
_COMMON = frozenset(
    [
        "home",
        "data",
        "users",
        "results",
        "images",
        "imaging",
        "screens",
        "screen",
        "plates",
        "labels",
        "motor_neuron",
    ]
)
_REGISTRY = ("hpscreg", "rrid", "bank", "str_profile", "clone")
_FILE = re.compile(
    r"(?i)\S*[\\/]\S+|\S+\.(?:tiff?|png|jpe?g|xml|flex|htd|c01|dib|zip|csv|tsv|xlsx|toml|json)\b"
)


@dataclass(frozen=True, order=True)
class Secret:
    """One text that must not leave, and what it is: a line, an operator, a path."""

    kind: str
    text: str

    @property
    def searchable(self) -> bool:
        """Whether a file that holds it can be told from one that does not."""
        least = _LEAST_DIGITS if self.text.isdigit() else _LEAST
        everywhere = self.text.casefold() in _EVERYWHERE or _WELL.match(self.text)
        return len(self.text) >= least and not everywhere


def known_secrets(
    records: Iterable[Mapping[str, Any]],
    lines: Iterable[Line],
    batches: Iterable[Batch],
    *,
    runs: Iterable[Path] = (),
    dates: Iterable[datetime] = (),
    named: Mapping[str, Iterable[str]] | None = None,
) -> list[Secret]:
    """All secrets, once each, in alphabetical order.

    Parameters
    ----------
    records
        Content of `run.json` of the runs.
    lines, batches
        The registry, of all lines: those that are not released must not be named either.
    runs, dates
        Folders of the runs, and dates at which their plates were imaged.
    named
        Kind ► further texts: operators that the scan names, and what the form lists.
    """
    parts = (
        *(_of_record(record) for record in records),
        *(_of_line(line) for line in lines),
        *(_of_batch(batch) for batch in batches),
        *(_of_path(run) for run in runs),
        *(_of_date(when) for when in dates),
        ((kind, text) for kind, texts in (named or {}).items() for text in texts),
    )
    return sorted({Secret(kind, text.strip()) for part in parts for kind, text in part if text})


def _of_record(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    inputs = record.get("inputs", {})
    yield "plate name", str(record.get("plate_name", ""))
    for name in ("run_id", "plate_digest", "plate_map_digest"):
        yield "digest", str(record.get(name, ""))
    for name in (inputs.get("scan", ""), inputs.get("plate_map_source", "")):
        yield from _of_path(Path(name)) if name else ()
    # All files of a scan share the beginning of their names, which names the plate.
    files = [Path(name).name for name in record.get("source_files", {})]
    if len(files) > 1:
        first, last = min(files), max(files)
        shared = next(
            (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first)
        )
        if shared >= _LEAST_DIGITS:
            yield "file name", first[:shared]
    for mapped in inputs.get("plate_map_records", ()):
        yield "line", str(mapped.get("line", ""))
        yield "batch", str(mapped.get("batch", ""))


def _of_line(line: Line) -> Iterator[tuple[str, str]]:
    yield "line", line.line
    yield "donor", line.donor
    for name in _REGISTRY:
        yield name, str(getattr(line, name))


def _of_batch(batch: Batch) -> Iterator[tuple[str, str]]:
    yield "batch", batch.batch
    yield "operator", batch.operator
    yield "lot", batch.cryo_lot
    for lot in re.split(r"[,;|]", batch.media_lots):
        yield "lot", lot


def _of_path(path: Path) -> Iterator[tuple[str, str]]:
    """The path, and names of its folders that are not words: the last, an account's, a plate's."""
    if path.is_absolute():
        yield "path", str(path)
        for before, part in pairwise(path.parts):
            named = not part.islower() or any(c.isdigit() for c in part)
            account = before.casefold() in ("home", "users")
            if (named or account or part == path.name) and part.casefold() not in _COMMON:
                yield "folder", part
    elif path.stem:
        yield "file name", path.name


def _of_date(when: datetime) -> Iterator[tuple[str, str]]:
    for form in ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y"):
        yield "date", when.strftime(form)
    for form in ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"):
        yield "date", when.strftime(form)


def redacted(text: str, secrets: Iterable[Secret]) -> str:
    """A sentence without secrets, paths and file names, which others may read.

    Examples
    --------
    >>> redacted("field 2: /data/P1/r01.tiff cannot be read by mk", [Secret("operator", "mk")])
    'field 2: [file] cannot be read by [operator]'
    """
    text = _FILE.sub("[file]", text)
    for secret in sorted(secrets, key=lambda s: -len(s.text)):
        if secret.searchable:
            text = re.sub(
                rf"(?i)(?<![A-Za-z0-9]){re.escape(secret.text)}(?![A-Za-z0-9])",
                f"[{secret.kind}]",
                text,
            )
    return text
