"""`screen order`: have a service put its runs together, fit them, and give back the tables."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imaging_service.cli.registry import ProjectOption, Url
from imaging_service.key_file import LOCAL_URL

if TYPE_CHECKING:
    from imaging_service.client import Client
    from imaging_service.orders import ScreenState

_EVERY_S = 0.5


def order(
    name: Annotated[str, typer.Argument(help="Name of the screen.", show_default=False)],
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Ids of finished runs of the service, or their beginnings; LAB:RUN tells batches"
            " of the same name in two laboratories apart.",
            show_default=False,
        ),
    ],
    settings: Annotated[
        Path | None,
        typer.Option(
            help="screen.toml with healthy lines, doses to compare at and floors.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for tables and report; waits for them.")
    ] = None,
    url: Url = LOCAL_URL,
    project: ProjectOption = "",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show progress until the screen is fitted.")
    ] = False,
) -> None:
    """Order a screen from a service, and print its id.

    The same runs, settings and registries are the same screen.
    """
    import tomllib

    from pydantic import ValidationError

    from imaging_service.client import Client
    from imaging_service.orders import NewScreen
    from imaging_service.toml_text import parse_toml

    try:
        given = {} if settings is None else parse_toml(settings.read_text(encoding="utf-8"))
        wanted = NewScreen.model_validate(
            given | {"name": name, "runs": [_named(run) for run in runs]}
        )
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise typer.BadParameter(f"{settings or 'the order'} cannot be used: {error}") from error
    with Client(url, project=project) as client:
        state = client.order_screen(wanted)
        typer.echo(state.id)
        if wait or out is not None:
            state = _followed(client, state)
        if out is not None:
            _write(client, state, out)


def _named(run: str) -> dict[str, str]:
    lab, _, identity = run.rpartition(":")
    return {"run": identity, "lab": lab}


def _followed(client: Client, state: ScreenState) -> ScreenState:
    """The screen once it has ended; exits with 1 where it failed."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("queued", total=state.progress.plates)
        while state.state not in ("done", "failed"):
            gathered = state.progress.gathered
            fitting = state.state == "running" and gathered == state.progress.plates
            shown = "fitting" if fitting else state.state
            why = f": {state.reason}" if state.reason else ""
            bar.update(task, description=f"{shown}{why}", completed=gathered)
            time.sleep(_EVERY_S)
            state = client.screen(state.id)
        bar.update(task, description=state.state, completed=state.progress.gathered)
    if state.state == "failed":
        typer.secho(f"screen {state.id} failed: {state.reason}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{state.progress.plates} plates: {state.rows:,} rows, {state.hits:,} hits")
    return state


def _write(client: Client, state: ScreenState, out: Path) -> None:
    import io

    import polars as pl

    from imaging_service.screens.folder import TABLES
    from imaging_service.store.tables import write_table

    for table in TABLES:
        content = client.screen_table_bytes(state.id, table, "parquet")
        write_table(pl.read_parquet(io.BytesIO(content)), out / table)
        typer.echo(f"Table   {out / table}.csv")
    (out / "report.html").write_bytes(client.screen_report(state.id))
    typer.echo(f"Report  {out / 'report.html'}")
