"""What every form of a repository asks for, gathered once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from imaging_service.release.form import LICENCE_URLS, ReleaseForm
from plate_maps.registry import Line

SPECIES, TAXON = "Homo sapiens", "NCBITAXON:9606"


@dataclass(frozen=True)
class BundleFacts:
    """Facts of a bundle: its form, lines, wells and images, under export ids only.

    `images` are those of `copy_pixels`, by plate; `records` those of `run.json`, by plate.
    """

    form: ReleaseForm
    lines: Sequence[Line]
    healthy: frozenset[str]
    wells: pl.DataFrame
    images: Mapping[str, Mapping[str, Any]]
    records: Mapping[str, Mapping[str, Any]]
    duo: tuple[str, ...]

    @property
    def n_donors(self) -> int:
        """Distinct donors."""
        return len({line.donor for line in self.lines})

    @property
    def licence(self) -> str:
        """The licence's address, or the words of a controlled release."""
        return LICENCE_URLS.get(self.form.licence, self.form.licence)

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """Phenotypes of the plates, in their order."""
        named = (
            name
            for record in self.records.values()
            for name in record["inputs"]["protocol"]["response"]["phenotypes"]
        )
        return tuple(dict.fromkeys(named))

    @property
    def engines(self) -> str:
        """Engines and versions that measured the plates, in one sentence."""
        used = {
            f"{record['engine'].get('engine', 'unknown engine')}, software"
            f" {record['software_version']}"
            for record in self.records.values()
        }
        return "; ".join(sorted(used))

    @property
    def imaged(self) -> bool:
        """Whether the bundle holds images."""
        return any(self.images.values())

    @property
    def acquisition(self) -> str:
        """How the images were taken, in one sentence."""
        card = self.form.acquisition
        sizes = sorted({str(record["pixel_size_um"]) for record in self.records.values()})
        return (
            f"{card.imaging_method} ({card.fbbi}); objective {card.objective}, numerical aperture"
            f" {card.numerical_aperture}; {', '.join(sizes)} µm per pixel; plate"
            f" {card.plate_type} ({card.plate_manufacturer} {card.plate_catalogue})".rstrip()
        )

    @property
    def staining(self) -> str:
        """What each channel shows, in one sentence."""
        return "; ".join(
            f"{c.channel}: {c.target}, {c.fluorophore}"
            + (f", antibody {c.antibody_rrid}" if c.antibody_rrid else "")
            for c in self.form.acquisition.channels
        )
