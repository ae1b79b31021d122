"""The hub: which sites it trusts, what it refuses, and sites' summaries in its screen.

SCREEN/federation.toml
    protocols = ["64 hex digits"]     what is pooled; those of the first site if not given
    [sites]
    north = "public key in hex"
    [bridge]
    lines = ["S1", "S1-iso"]          an isogenic pair that every site measures
    compound = "riluzole"             and a reference compound
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from imaging_service.errors import SummaryRefused, damaged
from imaging_service.federation.signing import is_signed
from imaging_service.federation.summary import SCHEMA
from imaging_service.files import staged, write_bytes
from imaging_service.screens.compounds import compounds_of
from imaging_service.screens.folder import plates_of
from imaging_service.screens.sites import MORE, PARTS, Site, pooled_parts, sites_of
from imaging_service.store.tables import write_table
from imaging_service.toml_text import parse_toml
from phenotypes.columns.statuses import BridgeStatus
from phenotypes.screens.across.sites import bridge_table


class Bridge(BaseModel):
    """The pair and compound that every site measures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: tuple[str, str]
    compound: str


class Federation(BaseModel):
    """`federation.toml` of the hub's screen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    protocols: tuple[str, ...] = ()
    sites: dict[str, str]
    bridge: Bridge | None = None


class _Refusal(Exception):
    """Why a summary is refused: a code and a sentence."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


def read_federation(screen: Path) -> Federation:
    """Read and check `federation.toml`. Raises SummaryRefused."""
    path = screen / "federation.toml"
    try:
        return Federation.model_validate(parse_toml(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise SummaryRefused(
            f"there is no {path}: it names the sites and their public keys (docs/federation.md)"
        ) from error
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SummaryRefused(f"{path} cannot be used: {error}") from error


def add_summary(screen: Path, summary: Path) -> tuple[Site, pl.DataFrame]:
    """Check a site's summary and keep it with the hub's screen, in place of an earlier one.

    Returns the site and the table of its bridge, which is empty where none was needed or set.
    Raises SummaryRefused; the refusal is kept, and the report shows it.
    """
    federation = read_federation(screen)
    name = "unknown"
    try:
        with damaged(SummaryRefused, str(summary)):
            manifest = json.loads((summary / "manifest.json").read_bytes())
            name = str(manifest["site"])
        there = sites_of(screen)
        others = [site for site in there if site.name != name]
        _signed(federation, manifest, summary)
        site = Site(name, summary)
        _newest(site, [other for other in there if other.name == name])
        _poolable(federation, screen, site, others)
        bridge = _bridged(federation, site, others)
    except _Refusal as refusal:
        _keep_refusal(screen, name, refusal)
        raise SummaryRefused(f"{summary}: {refusal.reason} ({refusal.code})") from refusal
    if not (screen / "screen.toml").is_file():
        write_bytes(
            screen / "screen.toml", f"name = {json.dumps(screen.resolve().name)}\n".encode()
        )
    with staged(screen / "sites" / name) as scratch:
        for file in [*manifest["files"], "manifest.json", "signature"]:
            shutil.copyfile(summary / file, scratch / file)
    for other in others:
        if gone := _donors(other) & _withdrawn([site]):
            # That site has to write its summary anew, without the donor.
            shutil.rmtree(other.folder)
            _keep_refusal(screen, other.name, _of_withdrawn(len(gone), name))
    path = screen / "sites" / f"bridge_{name}"
    path.with_suffix(".parquet").unlink(missing_ok=True)
    if len(bridge):
        write_table(bridge, path, csv=False)
    return Site(name, screen / "sites" / name), bridge


def _signed(federation: Federation, manifest: dict[str, Any], summary: Path) -> None:
    """The site is known, its signature holds, and each file is the one that was signed."""
    name = str(manifest["site"])
    if name not in federation.sites:
        raise _Refusal("unknown_site", f"site {name!r} is not in federation.toml")
    signature = summary / "signature"
    content = signature.read_bytes() if signature.is_file() else b""
    if not is_signed(federation.sites[name], (summary / "manifest.json").read_bytes(), content):
        raise _Refusal("forged", f"it was not signed with the key of site {name}")
    if manifest.get("schema") != SCHEMA:
        raise _Refusal(
            "schema",
            f"it has schema {manifest.get('schema')}, this software reads {SCHEMA}; write it again"
            " with the same version",
        )
    absent = {"lines.tsv", "plates.json", *(f"{n}.parquet" for n in (*PARTS, *MORE))}
    absent -= set(manifest["files"])
    if absent:
        raise _Refusal("altered", f"file {min(absent)} is missing")
    for file, digest in manifest["files"].items():
        path = summary / file
        if "/" in file or "\\" in file or not path.is_file():
            raise _Refusal("altered", f"file {file} is missing")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise _Refusal("altered", f"file {file} was changed after it was signed")


def _newest(site: Site, before: Sequence[Site]) -> None:
    """An older summary is signed as well, and may hold a donor who has withdrawn."""
    written = [str(s.manifest.get("written_at", "")) for s in (site, *before)]
    if before and written[0] < written[1]:
        raise _Refusal(
            "older", f"it is older than the summary of site {site.name} that is here ({written[1]})"
        )


def _donors(site: Site) -> set[str]:
    return {line.donor for line in site.lines.values()}


def _withdrawn(sites: Sequence[Site]) -> set[str]:
    return {donor for site in sites for donor in site.manifest.get("withdrawn", ())}


def _of_withdrawn(count: int, site: str) -> _Refusal:
    return _Refusal(
        "withdrawn",
        f"it has {count} donor(s) who withdrew, as site {site} says; enter the withdrawal in the"
        " site's registry, and write its summary again",
    )


def _poolable(federation: Federation, screen: Path, site: Site, others: Sequence[Site]) -> None:
    """Protocol, plates, batches, lines and compounds fit those of the other sites."""
    if plates_of(screen):
        raise _Refusal(
            "own_plates",
            f"screen {screen} has plates of its own; write a summary of it and add that to a new"
            " screen",
        )
    accepted = set(federation.protocols) or {p for o in others for p in o.manifest["protocols"]}
    strange = sorted(set(site.manifest["protocols"]) - accepted) if accepted else []
    if strange:
        raise _Refusal(
            "other_protocol",
            f"its plates were analysed with protocol {strange[0][:12]}, which is not pooled here",
        )
    for other in others:
        if gone := _donors(site) & _withdrawn([other]):
            raise _of_withdrawn(len(gone), other.name)
        twice = {p.plate_digest for p in other.plates} & {p.plate_digest for p in site.plates}
        if twice:
            raise _Refusal("plate_twice", f"{len(twice)} plate(s) are in site {other.name} already")
        shared = set(site.parts.batches["batch"]) & set(other.parts.batches["batch"])
        if shared:
            raise _Refusal(
                "batch_twice",
                f"batch {min(shared)} has the name of one of site {other.name}; use another --lab",
            )
        for line in set(site.lines) & set(other.lines):
            if site.lines[line].donor != other.lines[line].donor:
                raise _Refusal(
                    "line_of_two_donors",
                    f"line {line} has another donor than at site {other.name}: two lines have one"
                    " name, or its hPSCreg name is missing at one of them",
                )
            for fact in ("gene", "genotype", "zygosity", "sporadic", "isogenic_parent"):
                pair = {getattr(s.lines[line], fact) for s in (site, other)} - {""}
                if len(pair) > 1:
                    raise _Refusal(
                        "line_differs",
                        f"line {line} has {fact} {' and '.join(sorted(pair))} at sites {site.name}"
                        f" and {other.name}; correct the registry of one",
                    )
    known = compounds_of(screen)
    for compound in sorted(set(site.parts.batches["compound"]) - {""}):
        if known and known.shown(compound) != compound:
            raise _Refusal(
                "other_compound_name",
                f"it calls {known.shown(compound)} {compound!r}; give the site the hub's compound"
                " registry",
            )


def _bridged(federation: Federation, site: Site, others: Sequence[Site]) -> pl.DataFrame:
    """The bridge of a site to the others; needed where its engine is another one."""
    engines = [tuple(sorted(e.items())) for o in others for e in o.manifest["engines"]]
    new = [e for e in site.manifest["engines"] if tuple(sorted(e.items())) not in engines]
    needed = bool(others and new)
    if federation.bridge is None or not others:
        if needed:
            raise _Refusal(
                "no_bridge",
                f"its engine or version differs ({new[0]['engine']}, {new[0]['software_version']}),"
                " and federation.toml names no bridge",
            )
        return pl.DataFrame()
    table = bridge_table(
        pooled_parts(others).batches,
        site.parts.batches,
        federation.bridge.lines,
        federation.bridge.compound,
    )
    tested = table.filter(pl.col("status") != BridgeStatus.TOO_FEW_BATCHES)
    differing = table.filter(pl.col("status") == BridgeStatus.DIFFERS)
    if needed and set(tested["line"]) != set(federation.bridge.lines):
        raise _Refusal(
            "no_bridge",
            "its engine or version differs, and the bridge was not measured in two batches of both"
            f" sides: {' and '.join(federation.bridge.lines)} with {federation.bridge.compound}",
        )
    if len(differing):
        row = differing.row(0, named=True)
        raise _Refusal(
            "bridge_differs",
            f"on the bridge {row['line']} with {row['compound']}, {row['phenotype']} differs by"
            f" {row['difference']:.2g} (95 % {row['difference_low']:.2g} …"
            f" {row['difference_high']:.2g})",
        )
    return table


def _keep_refusal(screen: Path, site: str, refusal: _Refusal) -> None:
    path = screen / "sites" / "refused.jsonl"
    before = path.read_bytes() if path.is_file() else b""
    entry = {"site": site, "code": refusal.code, "reason": refusal.reason}
    write_bytes(path, before + json.dumps(entry, ensure_ascii=False).encode() + b"\n")
