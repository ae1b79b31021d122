"""Verify a bundle that was received, or that is about to be sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from imaging_service.errors import ReleaseRefused, damaged
from imaging_service.release.bundle import search_for_secrets
from imaging_service.release.contents.manifest import check_manifest
from imaging_service.release.forms.validators import Validation, validate
from imaging_service.release.material import examine


@dataclass(frozen=True)
class Verified:
    """What was verified: files, k, verdicts, and whether the release's secrets were looked for."""

    files: int
    k: int
    validations: tuple[Validation, ...]
    searched: bool


def verify_bundle(bundle: Path, release: Path | None = None, cache: Path | None = None) -> Verified:
    """Check digests, tables and forms; with the release's folder also search for its secrets.

    Raises ReleaseRefused for the first of them that does not hold.
    """
    files = check_manifest(bundle)
    for path in sorted(bundle.rglob("*.parquet")):
        with damaged(ReleaseRefused, path.relative_to(bundle).as_posix()):
            pl.read_parquet(path)
    report = json.loads((bundle / "deidentification.json").read_bytes())
    validations = validate(bundle, cache)
    refused = [v for v in validations if v.verdict == "refused"]
    if refused:
        raise ReleaseRefused(
            "validators refuse the bundle:\n  - "
            + "\n  - ".join(f"{v.file} ({v.standard}): {'; '.join(v.problems)}" for v in refused)
        )
    if release is not None:
        hits = search_for_secrets(examine(release), bundle)
        if hits:
            raise ReleaseRefused(
                f"{len(hits)} secret(s) are in files of the bundle:\n  - "
                + "\n  - ".join(map(str, hits[:20]))
            )
    return Verified(files, int(report["k"]), tuple(validations), release is not None)
