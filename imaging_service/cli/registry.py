"""Commands about the line registry of a service: `registry import` and `registry export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LOCAL_URL = "http://127.0.0.1:8765"
registry = typer.Typer(
    no_args_is_help=True, help="Lines, donors and differentiation batches that the service knows."
)
Url = Annotated[
    str, typer.Option("--url", envvar="IMAGING_SERVICE_URL", help="Address of the service.")
]
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
    url: Url = LOCAL_URL,
) -> None:
    """Add lines and batches to the registry; those of the same name are replaced.

    A file with any fault changes nothing.
    """
    from imaging_service.client import Client

    if lines is None and batches is None:
        raise typer.BadParameter("give --lines or --batches")
    with Client(url) as client:
        for kind, path in (("lines", lines), ("batches", batches)):
            if path is not None:
                change = client.put_registry(
                    "lines" if kind == "lines" else "batches", path.read_text(encoding="utf-8-sig")
                )
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
        typer.Option("--out", help="Folder for lines.tsv and batches.tsv.", show_default=False),
    ],
    url: Url = LOCAL_URL,
) -> None:
    """Write the registry as TSV: what `registry import` and `screen add --lines` read."""
    from imaging_service.client import Client

    with Client(url) as client:
        out.mkdir(parents=True, exist_ok=True)
        for path, text in (
            (out / "lines.tsv", client.registry("lines")),
            (out / "batches.tsv", client.registry("batches")),
        ):
            path.write_text(text.removeprefix("\ufeff"), encoding="utf-8-sig")
            typer.echo(str(path))
