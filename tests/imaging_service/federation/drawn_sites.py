"""Sites with a screen each: patients of their own, and one isogenic pair that all of them measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from imaging_service.federation.donors import donor_hash
from imaging_service.federation.signing import new_site_key
from imaging_service.federation.summary import write_summary
from imaging_service.files import write_bytes
from imaging_service.screens.folder import add_run, fit, set_registry
from plate_maps.registry import Line, write
from tests.imaging_service.written_runs import write_run
from tests.phenotypes.drawn_screens import ladder_wells

SITES = {"north": ("N2", "N3"), "south": ("U2", "U3"), "west": ("W2", "W3")}
SHARED = "MND-1"
KEY = b"k" * 32


def lines_of(site: str) -> list[str]:
    patients = [SHARED, *SITES[site]]
    return [n for patient in patients for n in (patient, f"{patient}-iso")]


def registry_of(site: str, **changes: str) -> list[Line]:
    """Each site has codes of its own for donors; the shared line has its public name."""
    lines = []
    for number, patient in enumerate([SHARED, *SITES[site]]):
        values = {
            "donor": f"{site}-{number}",
            "hpscreg": "UKXi001-A" if patient == SHARED else "",
            "consent": "HMB",
            "consent_scope": "controlled",
        } | (changes if patient == SHARED else {})
        lines.append(Line(patient, gene="SOD1", genotype="SOD1", zygosity="heterozygous", **values))
        lines.append(
            Line(f"{patient}-iso", isogenic_parent=patient, zygosity="wild type", **values)
        )
    return lines


def runs_of(root: Path, site: str, shift: float = 0.0, **record: object) -> list[Path]:
    """Three plates, a batch each; `shift` moves what the compound does at this site."""
    number = list(SITES).index(site)
    lines = lines_of(site)
    wells = ladder_wells(
        np.random.default_rng(10 + number),
        lines,
        wells=2,
        vehicles=4,
        gap=0.6,
        isogenic=lines[1::2],
        span={"nc_log2_aggregate": 0.4 + shift, "live_density": -0.6 + shift},
    )
    return [
        write_run(
            root / f"{site}-{b}",
            wells.filter(pl.col("batch") == f"b{b}"),
            10 * number + b + 1,
            **record,
        )
        for b in range(3)
    ]


def site_screen(root: Path, site: str, runs: list[Path], lines: list[Line]) -> Path:
    """The site's fitted screen."""
    screen = root / f"screen-{site}"
    for run in runs:
        add_run(screen, run, site)
    write_bytes(root / f"{site}.tsv", write(lines, Line).encode())
    set_registry(screen, root / f"{site}.tsv", None)
    fit(screen)
    return screen


def send(root: Path, site: str, screen: Path) -> tuple[Path, str]:
    """The site's summary, and its public key."""
    public = new_site_key(root / f"{site}.key")
    (root / "consortium.key").write_bytes(KEY)
    written = write_summary(
        screen,
        root / f"sent-{site}",
        site=site,
        key=root / f"{site}.key",
        consortium_key=root / "consortium.key",
    )
    return written.folder, public


def pooled_registry() -> list[Line]:
    """The registry of all sites as one laboratory would write it."""
    lines = {}
    for site in SITES:
        for line in registry_of(site):
            donor = donor_hash(KEY, line, site)
            lines.setdefault(
                line.line,
                Line(
                    line.line,
                    donor,
                    line.genotype,
                    gene=line.gene,
                    zygosity=line.zygosity,
                    isogenic_parent=line.isogenic_parent,
                ),
            )
    return list(lines.values())


def hub_file(
    screen: Path, keys: dict[str, str], *, bridge: bool = False, protocols: str = ""
) -> None:
    """The hub's federation.toml."""
    text = f"protocols = [{protocols}]\n[sites]\n"
    text += "".join(f'{site} = "{key}"\n' for site, key in keys.items())
    if bridge:
        text += f'[bridge]\nlines = ["{SHARED}", "{SHARED}-iso"]\ncompound = "x"\n'
    write_bytes(screen / "federation.toml", text.encode())
