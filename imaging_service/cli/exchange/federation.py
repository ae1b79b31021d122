"""Commands about sites that pool: `screen keys`, `screen summary`, `screen add-summary`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Screen = Annotated[Path, typer.Argument(help="Folder of the screen.", show_default=False)]


def keys(
    folder: Annotated[Path, typer.Argument(help="Folder for the keys.", show_default=False)],
    consortium: Annotated[
        bool, typer.Option("--consortium", help="Also make the key that all sites share.")
    ] = False,
) -> None:
    """Make a site's key; its public half goes into the hub's federation.toml."""
    from imaging_service.federation.signing import new_consortium_key, new_site_key

    public = new_site_key(folder / "site.key")
    typer.echo(f"Private {folder / 'site.key'}  (stays at the site)\nPublic  {public}")
    if consortium:
        new_consortium_key(folder / "consortium.key")
        typer.echo(f"Shared  {folder / 'consortium.key'}  (to every site, and no further)")


def summary(
    folder: Screen,
    site: Annotated[str, typer.Option(help="The site's name.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder to send.", show_default=False)],
    key: Annotated[Path, typer.Option(help="The site's private key.", show_default=False)],
    consortium_key: Annotated[
        Path, typer.Option(help="The key that all sites share.", show_default=False)
    ],
) -> None:
    """Write what a hub needs of a fitted screen: averages of batches, signed."""
    from imaging_service.federation.summary import write_summary

    written = write_summary(folder, out, site=site, key=key, consortium_key=consortium_key)
    for line, code in written.left_out.items():
        typer.echo(f"note: line {line} stays at the site ({code})")
    for note in written.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{len(written.lines)} lines\nSummary {written.folder}")


def add_summary(
    folder: Screen,
    summaries: Annotated[
        list[Path], typer.Argument(help="Folders that sites sent.", show_default=False)
    ],
) -> None:
    """Check sites' summaries and put them into the hub's screen. Nothing is fitted yet."""
    from imaging_service.federation.hub import add_summary as add

    for path in summaries:
        site, bridge = add(folder, path)
        typer.echo(f"added site {site.name}: {len(site.plates)} plates, {len(site.lines)} lines")
        for row in bridge.iter_rows(named=True):
            typer.echo(
                f"  bridge {row['line']}, {row['phenotype']}: {row['status']},"
                f" difference {row['difference']:.2g}"
            )
