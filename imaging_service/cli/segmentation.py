"""Commands about engines and their weights: `models list|pull|verify` and `bench segmentation`."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Annotated

import typer

models = typer.Typer(
    no_args_is_help=True, help="Weights of the segmentation engines: licence, digest, origin."
)
bench = typer.Typer(no_args_is_help=True, help="Measure accuracy, time and memory.")


@models.command("list")
def list_models(
    folder: Annotated[
        Path, typer.Argument(help="Where the laboratory keeps its own models.")
    ] = Path("models"),
) -> None:
    """List every known model with its licence and SHA-256, and whether it is on this machine.

    The laboratory's own models in a folder follow, with who promoted them.
    """
    from segmentation.engines import model_folder
    from segmentation.engines.model_folder import own_models
    from segmentation.engines.weights import known_models

    for model in known_models():
        here = "shipped" if model.shipped else "yes" if model.path.is_file() else "no: models pull"
        _show(model.engine, here, model.card.licence, model.card.training_data, model.sha256 or "")
    for own_model in own_models(folder):
        _show(
            f"motornet:{own_model.folder}",
            own_model.promotion or model_folder.CANDIDATE,
            own_model.licence,
            own_model.training_data,
            own_model.sha256,
        )
    typer.echo(
        "A laboratory's own checkpoint is named by its path: cellpose:PATH or motornet:PATH."
    )


def _show(engine: str, here: str, licence: str, training_data: str, sha256: str) -> None:
    """Print a model as a block: texts on licence and training data are too long for columns."""
    typer.echo(f"{engine}  ({here})")
    facts = {"licence": licence, "trained on": training_data, "sha256": sha256 or "not known here"}
    for name, text in facts.items():
        typer.echo(fill(f"{name:12}{text}", 100, initial_indent="  ", subsequent_indent=" " * 14))
    typer.echo()


@models.command("pull")
def pull(
    engine: Annotated[
        str, typer.Argument(help="As `models list` names it, such as cellpose:cpsam_v2.")
    ],
) -> None:
    """Download a published model and record its SHA-256.

    `models verify` and every later load compare the file with it.
    """
    from segmentation.engines.weights import WeightsError, pull_model

    try:
        checkpoint = pull_model(engine)
    except (WeightsError, ImportError) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(
        f"{engine}\nfile     {checkpoint.path}\nsha256   {checkpoint.sha256}\nlicence "
        f" {checkpoint.licence}\norigin   {checkpoint.origin}"
    )


@models.command("verify")
def verify(
    engine: Annotated[
        str, typer.Argument(help="A model of `models list`, or the path of a checkpoint.")
    ],
    sha256: Annotated[
        str | None,
        typer.Option(
            help="Digest that the file must have; the pinned or recorded one if not given."
        ),
    ] = None,
) -> None:
    """Compare a checkpoint's SHA-256 with the pinned or recorded one.

    A file that is not a plain table of weights is refused.
    """
    from segmentation.engines.weights import WeightsError, verify_model

    try:
        checkpoint, against = verify_model(engine, sha256)
    except (WeightsError, ImportError) as error:
        typer.echo(f"not verified: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(
        f"{checkpoint.name}: sha256 {checkpoint.sha256} {against}\nlicence  {checkpoint.licence}"
    )


@bench.command("segmentation")
def segmentation(
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder for scores.csv and the sheets of cases.", show_default=False
        ),
    ],
    engine: Annotated[
        list[str] | None,
        typer.Option("--engine", help="Once per engine; classical and motornet if not given."),
    ] = None,
    nuclei: Annotated[
        Path | None,
        typer.Option(help="DSB2018 as manifest.csv, images/, labels/: adds real nuclei."),
    ] = None,
    fields: Annotated[int, typer.Option(min=1, help="Phantoms of each difficulty.")] = 12,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    speed: Annotated[bool, typer.Option(help="Time a 2160² field in a process of its own.")] = True,
) -> None:
    """Measure accuracy on phantoms and annotated nuclei, seconds and memory.

    Writes a table, and pictures of the best, median and worst cases.
    """
    from rich.console import Console
    from rich.table import Table

    from imaging_service.cli.bench import run, write

    engines = engine or ["classical", "motornet"]
    measured = run(engines, device=device, nuclei=nuclei, fields=fields, speed=speed)
    write(measured, out)
    table = Table(title="segmentation", title_justify="left")
    table.add_column("what")
    table.add_column("measure")
    for name in engines:
        table.add_column(name, justify="right")
    values = {(s.what, s.measure, s.engine): s.value for s in measured.scores}
    for what, measure in dict.fromkeys((s.what, s.measure) for s in measured.scores):
        table.add_row(
            what,
            measure,
            *(
                f"{values[what, measure, n]:.3f}" if (what, measure, n) in values else ""
                for n in engines
            ),
        )
    Console().print(table)
    if nuclei is None:
        typer.echo(
            "No annotated photographs were given (--nuclei FOLDER), so these figures are of"
            " drawings only."
        )
    typer.echo(
        f"Table   {out / 'scores.csv'}\nPictures"
        f" {', '.join(str(p) for p in sorted(out.glob('cases-*.png')))}"
    )
    for failure in measured.failures:
        typer.echo(failure, err=True)
    if measured.failures:
        raise typer.Exit(1)
