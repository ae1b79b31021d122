"""Commands about the registry of a service: `registry import` and `registry export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imaging_service.key_file import LOCAL_URL, URL

if TYPE_CHECKING:
    from imaging_service.client import RegistryKind

registry = typer.Typer(
    no_args_is_help=True, help="Lines, donors, batches and compounds that the service knows."
)
Url = Annotated[str, typer.Option("--url", envvar=URL, help="Address of the service.")]
ProjectOption = Annotated[
    str,
    typer.Option(
        "--project",
        envvar="IMAGING_SERVICE_PROJECT",
        help="The project; not needed where your key can be used in only one.",
    ),
]


@registry.command("import")
def import_files(
    lines: Annotated[
        Path | None, typer.Option(help="Lines (TSV).", exists=True, dir_okay=False)
    ] = None,
    batches: Annotated[
        Path | None,
        typer.Option(help="Differentiation batches (TSV).", exists=True, dir_okay=False),
    ] = None,
    compounds: Annotated[
        Path | None, typer.Option(help="Compounds (TSV).", exists=True, dir_okay=False)
    ] = None,
    url: Url = LOCAL_URL,
) -> None:
    """Add lines, batches and compounds to the registry; those of the same name are replaced.

    A file with any fault changes nothing.
    """
    from imaging_service.client import Client

    files: dict[RegistryKind, Path | None] = {
        "lines": lines,
        "batches": batches,
        "compounds": compounds,
    }
    if not any(files.values()):
        raise typer.BadParameter("give --lines, --batches or --compounds")
    with Client(url) as client:
        for kind, path in files.items():
            if path is not None:
                change = client.put_registry(kind, path.read_text(encoding="utf-8-sig"))
                typer.echo(
                    f"{kind}: {len(change.added)} added, {len(change.changed)} changed,"
                    f" {len(change.unchanged)} as before"
                )
                for name in change.changed:
                    typer.echo(f"  changed: {name}")


@registry.command("export")
def export_files(
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for the registry's files.", show_default=False),
    ],
    url: Url = LOCAL_URL,
) -> None:
    """Write the registry as TSV: what `registry import` and `screen add` read."""
    from imaging_service.client import Client

    with Client(url) as client:
        out.mkdir(parents=True, exist_ok=True)
        kinds: tuple[RegistryKind, ...] = ("lines", "batches", "compounds")
        for kind in kinds:
            path, text = out / f"{kind}.tsv", client.registry(kind)
            path.write_text(text.removeprefix("\ufeff"), encoding="utf-8-sig")
            typer.echo(str(path))
