"""Commands about releases that a service hands over: `release offer`, `offers`, `end-offer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imaging_service.cli.access.opened import database, day, operator
from imaging_service.cli.registry import Url
from imaging_service.key_file import LOCAL_URL


def offer(
    folder: Annotated[Path, typer.Argument(help="Folder of the release.", show_default=False)],
    bundle: Annotated[Path, typer.Option(help="The release's bundle.", show_default=False)],
    lab: Annotated[str, typer.Option(help="Id of the laboratory that offers it.")] = "local",
) -> None:
    """Let the service hand over a release to those whose request was approved.

    Run on the service's own machine. The bundle is copied; the release's folder must stay.
    """
    from imaging_service.access.audit import note
    from imaging_service.access.members import find_lab
    from imaging_service.release.requests.offers import offer as offer_bundle
    from imaging_service.settings import settings

    with database() as session:
        known = find_lab(session, lab).id
        row = offer_bundle(settings(), session, folder, bundle, known, operator())
        note(session, operator(), "release offered", row.id, lab=known)
        typer.echo(
            f"Release {row.id}  {row.name}, {row.size:,} bytes\nThe holder of a key:"
            " imaging-service release download --key-file KEY --out FOLDER --url URL"
        )


def offers() -> None:
    """List the releases that the service hands over."""
    from sqlmodel import select

    from imaging_service.access.members import find_lab
    from imaging_service.database.tables import ReleaseRow

    with database() as session:
        for row in session.exec(select(ReleaseRow)).all():
            state = "offered" if row.ended_at is None else f"ended {day(row.ended_at)}"
            lab = find_lab(session, row.lab_id).name
            typer.echo(f"{row.id}  {row.name}  {lab}  {day(row.offered_at)}  {state}")


def end_offer(
    release: Annotated[str, typer.Argument(help="The release's id.", show_default=False)],
) -> None:
    """Hand a release over no more, whatever keys there are."""
    from imaging_service.access.audit import note
    from imaging_service.release.requests.offers import end_offer as end
    from imaging_service.settings import settings

    with database() as session:
        row = end(settings(), session, release)
        note(session, operator(), "release offer ended", row.id, lab=row.lab_id)
        typer.echo(f"{row.id} is handed over no more")


def download(
    out: Annotated[Path, typer.Option("--out", help="Folder that is made.", show_default=False)],
    key_file: Annotated[
        Path, typer.Option(help="File with the key of a decided request.", show_default=False)
    ],
    url: Url = LOCAL_URL,
) -> None:
    """Download the release that a key is for, and check every file of it."""
    import zipfile

    from imaging_service.cli.folders import scratch
    from imaging_service.client import Client
    from imaging_service.files import staged
    from imaging_service.release.contents.manifest import check_manifest

    if out.exists():
        raise typer.BadParameter(f"{out} exists already; give a new folder")
    key = key_file.read_text(encoding="utf-8").strip()
    with Client(url, key=key) as client, scratch() as folder:
        client.download_release(folder / "bundle.zip")
        with staged(out) as bundle, zipfile.ZipFile(folder / "bundle.zip") as archive:
            archive.extractall(bundle)
            files = check_manifest(bundle)
    typer.echo(f"{files:,} files as released\nBundle  {out}")
