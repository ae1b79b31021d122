"""Commands about release bundles: `release new`, `check`, `write`, `verify`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imaging_service.cli.folders import no_service

if TYPE_CHECKING:
    from imaging_service.release.forms.validators import Validation

release = typer.Typer(
    no_args_is_help=True,
    help="Share a screen: what consent allows, without names, dates and paths.",
)

Folder = Annotated[
    Path, typer.Argument(help="Folder of the release in preparation.", show_default=False)
]
Fetched = no_service(
    "a release in preparation reads its runs and its screen again at each step, so they must stay:"
    " imaging-service fetch ID --out FOLDER --url URL (--screen for the screen), then give the"
    " folders"
)
Cache = Annotated[
    Path | None,
    typer.Option("--validator-cache", help="HTTP cache of rocrate-validator, for no network."),
]


class TierName(StrEnum):
    """Who receives a release."""

    OPEN = "open"
    CONTROLLED = "controlled"


@release.command("new")
def new(
    folder: Folder,
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of finished runs of the screen.", show_default=False),
    ],
    screen: Annotated[Path, typer.Option(help="The screen's folder.", show_default=False)],
    tier: Annotated[
        TierName, typer.Option(help="open: anyone may read it; controlled: on request.")
    ] = TierName.CONTROLLED,
    ledger: Annotated[
        Path | None,
        typer.Option(
            help="The laboratory's ledger of releases; releases.jsonl beside the screen's folder"
            " (or in it, where it is already) if not given."
        ),
    ] = None,
    url: Annotated[str | None, Fetched] = None,
) -> None:
    """Begin a release: a form to fill in, and its secret."""
    from imaging_service.release.form import new_release
    from imaging_service.release.gate.consent import Tier

    path = new_release(folder, screen, runs, Tier(tier.value), ledger)
    typer.echo(f"Form    {path}\nFill it in, then: imaging-service release check {folder}")


@release.command("check")
def check(folder: Folder) -> None:
    """Decide what the release may hold, and say why; nothing is written."""
    from imaging_service.release.bundle import check_release
    from imaging_service.release.material import remarks_on

    material, tables = check_release(folder)
    for remark in remarks_on(material):
        typer.echo(f"note: {remark}")
    for refused in tables.refused:
        row = refused.row
        typer.echo(
            f"note: row {row.compound}, {row.phenotype}, {row.group} is not released:"
            f" {refused.reason}"
        )
    typer.echo(
        f"{len(material.lines)} lines of {len(material.donors)} donors may be released, k ="
        f" {material.people.k}; {len(tables.kept)} rows over donors"
    )


@release.command("write")
def write(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", help="Folder of the bundle.", show_default=False)],
    cache: Cache = None,
) -> None:
    """Write the bundle and the ledger's entry; one secret in any file stops it."""
    from imaging_service.release.bundle import write_release

    written = write_release(folder, out, cache)
    _show(written.validations)
    typer.echo(f"{written.files:,} files\nBundle  {written.bundle}")


@release.command("verify")
def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", show_default=False)],
    folder: Annotated[
        Path | None,
        typer.Option("--release", help="The release in preparation: search for its secrets again."),
    ] = None,
    cache: Cache = None,
) -> None:
    """Check digests, tables and forms of a bundle."""
    from imaging_service.release.verify import verify_bundle

    verified = verify_bundle(bundle, folder, cache)
    _show(verified.validations)
    searched = "no secret found" if verified.searched else "secrets were not looked for (--release)"
    typer.echo(f"{verified.files:,} files as released; k = {verified.k}; {searched}")


def _show(validations: Sequence[Validation]) -> None:
    for v in validations:
        why = f" ({v.problems[0]})" if v.verdict == "not_checked" else ""
        typer.echo(f"{v.verdict:12} {v.standard}: {v.file}{why}")
