"""A site's summary: averages of batches, signed; cells, wells and pixels stay where they are."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from imaging_service import __version__
from imaging_service.errors import SummaryRefused
from imaging_service.federation.donors import donor_hash, is_matched
from imaging_service.federation.signing import read_consortium_key, sign
from imaging_service.files import staged
from imaging_service.release.gate.consent import ConsentCode, Tier, decide
from imaging_service.screens.compounds import compounds_of, renamed
from imaging_service.screens.folder import (
    conditions_of,
    plates_of,
    read_screen_table,
    registry_of,
    screen_part,
    settings_of,
)
from imaging_service.screens.remarks import PlateFile, facts_of
from imaging_service.store.tables import write_table
from phenotypes.screens.parts import ScreenParts, parts_of
from plate_maps.registry import Line, write

SCHEMA = 1
# Columns of a line that other sites need: health, gene and pairs.
_LINE = ("genotype", "gene", "zygosity", "sporadic")


@dataclass(frozen=True)
class WrittenSummary:
    """A summary that was written: its lines, those that stayed, and what to know about it."""

    folder: Path
    lines: tuple[str, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]


def write_summary(
    screen: Path, out: Path, *, site: str, key: Path, consortium_key: Path
) -> WrittenSummary:
    """Write and sign the summary of a fitted screen.

    Parameters
    ----------
    screen
        The site's screen; its runs were added with `--lab`, and its lines have a registry.
    out
        Folder of the summary; it must not exist.
    site
        The site's name, which the hub knows.
    key, consortium_key
        The site's private key, and the key that all sites share.

    Raises
    ------
    SummaryRefused
        Where no line may leave, a batch has no name or no laboratory, or `out` exists.
    """
    if out.exists():
        raise SummaryRefused(f"{out} exists; give another --out")
    secret = read_consortium_key(consortium_key)
    plates, registry, file = plates_of(screen), registry_of(screen), settings_of(screen)
    hazards = read_screen_table(screen, "hazards")
    unnamed = sorted({p.plate_name for p in plates if not p.lab})
    if unnamed:
        raise SummaryRefused(
            f"plates {', '.join(unnamed)} were added without --lab: batches of two sites could have"
            " one name. Add their runs again with --lab"
        )
    conditions = conditions_of(screen)
    if "" in {b.partition("/")[2] for b in conditions["batch"]}:
        raise SummaryRefused("a plate has no differentiation batch; name batches in its plate map")
    names = sorted(set(conditions["line"]))
    decisions = decide(names, registry.lines, Tier.CONTROLLED)
    allowed = [d.line for d in decisions if d.allowed]
    if not allowed:
        reasons = "\n  - ".join(d.reason for d in decisions)
        raise SummaryRefused(f"no line may leave the site:\n  - {reasons}")
    kept = pl.col("line").is_in(allowed)
    facts = facts_of(conditions, registry, file)
    partners = {a: b for a, b in facts.isogenic.items() if a in allowed and b in allowed}
    parts = parts_of(conditions.filter(kept), partners)
    planned = renamed(conditions, screen_part(screen, "planned"), file, compounds_of(screen))[1]
    more = {
        "planned": planned.filter(kept).unique().sort(pl.all()),
        "refusals": screen_part(screen, "refusals").filter(kept),
        "quality": screen_part(screen, "quality").filter(kept),
        "hazards": hazards.filter(kept),
    }
    every = registry.lines.values()
    donors = {n: donor_hash(secret, line, site, every) for n, line in registry.lines.items()}
    lines = [_exported(registry.lines[n], donors[n], allowed) for n in allowed]
    withdrawn = {donors[n] for n, x in registry.lines.items() if x.withdrawn == "yes"}
    with staged(out) as scratch:
        for name, table in {**_tables(parts), **more}.items():
            write_table(table, scratch / name, csv=False)
        (scratch / "lines.tsv").write_text(write(lines, Line), encoding="utf-8")
        listed = [_plate(plate, site, n) for n, plate in enumerate(plates, start=1)]
        (scratch / "plates.json").write_text(json.dumps(listed, indent=1), encoding="utf-8")
        left_out = {d.line: d.code.value for d in decisions if not d.allowed}
        manifest = json.dumps(
            _manifest(scratch, site, plates, left_out, sorted(withdrawn)), indent=1
        ).encode()
        (scratch / "manifest.json").write_bytes(manifest)
        (scratch / "signature").write_bytes(sign(key, manifest))
    notes = [
        f"line {n}: no hPSCreg name, so its donor cannot be matched with other sites"
        for n in allowed
        if not is_matched(registry.lines[n], registry.lines.values())
    ]
    gone = [d.line for d in decisions if d.code is ConsentCode.WITHDRAWN]
    seen = conditions.filter(pl.col("line").is_in(gone))["plate"].n_unique()
    if seen:
        notes.append(
            f"{seen} plate(s) were analysed with wells of donors who have withdrawn: thresholds of"
            " all other lines were taken from these, too, until the plates are analysed again"
        )
    return WrittenSummary(out, tuple(allowed), left_out, tuple(notes))


def _tables(parts: ScreenParts) -> dict[str, pl.DataFrame]:
    return {f.name: getattr(parts, f.name) for f in fields(parts)}


def _exported(line: Line, donor: str, allowed: Sequence[str]) -> Line:
    """A line's record by its white list, its donor as a hash."""
    return Line(
        line=line.line,
        donor=donor,
        isogenic_parent=line.isogenic_parent if line.isogenic_parent in allowed else "",
        consent=line.consent,
        consent_scope=line.consent_scope,
        **{name: getattr(line, name) for name in _LINE},
    )


def _plate(plate: PlateFile, site: str, number: int) -> dict[str, Any]:
    return plate.model_dump(mode="json") | {"plate_name": f"{site} plate {number}", "lab": site}


def _manifest(
    folder: Path,
    site: str,
    plates: Sequence[PlateFile],
    left_out: Mapping[str, str],
    withdrawn: Sequence[str],
) -> dict[str, Any]:
    engines = {(p.engine, p.weights_sha256, p.software_version) for p in plates}
    return {
        "schema": SCHEMA,
        "site": site,
        "written_by": __version__,
        "written_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        # Another site may have the donor's cells and not know.
        "withdrawn": list(withdrawn),
        "protocols": sorted({p.protocol_digest for p in plates}),
        "plate_maps": sorted({p.plate_map_digest for p in plates}),
        "engines": [
            {"engine": e, "weights_sha256": w, "software_version": v} for e, w, v in sorted(engines)
        ],
        "left_out": dict(sorted(Counter(left_out.values()).items())),
        "files": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir())
        },
    }
