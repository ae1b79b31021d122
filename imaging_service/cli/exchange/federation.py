"""Commands about sites that pool: `screen keys`, `screen summary`, `screen add-summary`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from imaging_service.cli.folders import ServiceUrl, opened, read_screen, scratch
from imaging_service.cli.registry import ProjectOption, Url
from imaging_service.cli.screens.screen import ReadFolder
from imaging_service.key_file import LOCAL_URL

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
    folder: ReadFolder,
    site: Annotated[str, typer.Option(help="The site's name.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder to send.", show_default=False)],
    key: Annotated[Path, typer.Option(help="The site's private key.", show_default=False)],
    consortium_key: Annotated[
        Path, typer.Option(help="The key that all sites share.", show_default=False)
    ],
    url: ServiceUrl = None,
    project: ProjectOption = "",
) -> None:
    """Write what a hub needs of a fitted screen: averages of batches, signed."""
    from imaging_service.federation.summary import write_summary

    with read_screen(url, folder, project) as read:
        written = write_summary(read, out, site=site, key=key, consortium_key=consortium_key)
    for line, code in written.left_out.items():
        typer.echo(f"note: line {line} stays at the site ({code})")
    for note in written.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{len(written.lines)} lines\nSummary {written.folder}")


def add_summary(
    folder: Screen,
    summaries: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders that sites sent; with --url names of sites, all if not given.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Address of a service that sites sent to.", show_default=False),
    ] = None,
    project: ProjectOption = "",
) -> None:
    """Check sites' summaries and put them into the hub's screen. Nothing is fitted yet."""
    if url is None:
        if not summaries:
            raise typer.BadParameter("give folders that sites sent, or --url of a service")
        _add(folder, summaries)
        return
    from imaging_service.federation.parcel import unpack

    with opened(url, project) as client, scratch() as received:
        names = [str(site) for site in summaries or ()] or [s.site for s in client.summaries()]
        _add(
            folder,
            (
                unpack(client.summary_bytes(site), received / f"summary of {number}")
                for number, site in enumerate(names, start=1)
            ),
        )


def send_summary(
    summary: Annotated[Path, typer.Argument(help="Folder of a summary (--out of screen summary).")],
    url: Url = LOCAL_URL,
    project: ProjectOption = "",
) -> None:
    """Send a summary to a project of the service that the hub takes it from."""
    from imaging_service.federation.parcel import pack

    with opened(url, project) as client:
        sent = client.send_summary(pack(summary))
    typer.echo(f"sent summary of site {sent.site}: {sent.size:,} bytes, SHA-256 {sent.sha256}")


def _add(folder: Path, summaries: Iterable[Path]) -> None:
    from imaging_service.federation.hub import add_summary as add

    for path in summaries:
        site, bridge = add(folder, path)
        typer.echo(f"added site {site.name}: {len(site.plates)} plates, {len(site.lines)} lines")
        for row in bridge.iter_rows(named=True):
            typer.echo(
                f"  bridge {row['line']}, {row['phenotype']}: {row['status']},"
                f" difference {row['difference']:.2g}"
            )
