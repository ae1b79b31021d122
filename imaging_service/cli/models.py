"""Commands about a laboratory's own model: `models train|show|promote`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imaging_service.cli.folders import no_service

Model = Annotated[
    Path, typer.Argument(help="Folder of a model (--out of models train).", show_default=False)
]
Exported = no_service(
    "training reads exports, which are kept as evidence of what was learnt from: imaging-service"
    " review export RUN --out FIELDS --url URL, then --fields FIELDS"
)
Scanned = no_service(
    "a held-out plate is analysed again from its scan, which is on the service's machine: submit"
    " the plate there with the new model, or run this command there"
)
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def train(
    fields: Annotated[
        list[Path],
        typer.Option(
            help="Folder of `review export`; once per export, as --fields A --fields B.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new model.", show_default=False)],
    lines: Annotated[
        Path | None,
        typer.Option(
            help="Line registry (TSV) as it is today: a consent withdrawn since the export counts.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Weights or model to train further; the shipped weights if not given."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps at most; it stops earlier.")] = 600,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and of the training.")] = 0,
    device: Device = "auto",
    url: Annotated[str | None, Exported] = None,
) -> None:
    """Train the network further on traced fields, among frozen samples.

    Whole plates are held out to measure on. The same command after a kill goes on where it stopped.
    """
    from imaging_service.jobs.review.export import read_export, read_registry
    from imaging_service.models.fields import traced_fields
    from imaging_service.models.training import Effort, train_model

    registry = None if lines is None else read_registry(lines)
    usable, left_out = traced_fields((f for e in fields for f in read_export(e)), registry)
    for reason in left_out:
        typer.secho(f"left out: {reason}", err=True)
    unknown = sorted({f.record.line for f in usable if not f.record.consent})
    if unknown:
        typer.secho(
            f"consent unknown: line {', '.join(unknown)}; export with --lines REGISTRY", err=True
        )
    train_model(
        usable,
        out,
        left_out=left_out,
        start=start,
        seed=seed,
        device=device,
        effort=Effort(steps=steps),
        say=typer.echo,
    )
    typer.echo(
        f"Model   {out}\nCard    {out / 'card.md'}\nLet a named person decide:"
        f" imaging-service models promote {out} --by NAME"
    )


def show(model: Model) -> None:
    """Print a model's card."""
    from imaging_service.models.card import card_of

    typer.echo(card_of(model), nl=False)


def promote(
    model: Model,
    by: Annotated[str, typer.Option(help="Who decides.", show_default=False)],
    on: Annotated[
        list[Path] | None,
        typer.Option(
            help=(
                "Run of a held-out plate by the old network: it is analysed again, and wells and"
                " EC50 are compared. Once per run."
            ),
        ),
    ] = None,
    device: Device = "auto",
    url: Annotated[str | None, Scanned] = None,
) -> None:
    """Let a model be used as motornet:MODEL, unless a measurement speaks against it.

    Refused, with every reason, where the frozen benchmark falls, fields held out do not get better,
    or phenotypes move. Exit code 1 for a refusal.
    """
    from imaging_service.models.promotion import checked_lineage, promote
    from imaging_service.models.whole_plates import whole_plates

    plates = whole_plates(
        model,
        checked_lineage(model),
        on or [],
        device=device,
        progress=lambda outcome, done, count: typer.echo(f"{outcome.well} {done} of {count}"),
    )
    decision = promote(model, by, plates)
    for note in decision.notes:
        typer.echo(f"note: {note}")
    if not decision.promoted:
        typer.secho(f"{model} is not promoted:", err=True)
        for reason in decision.reasons:
            typer.secho(f"  - {reason}", err=True)
        raise typer.Exit(1)
    typer.echo(
        f"promoted by {decision.by}; in a protocol: [segmentation] engine = 'motornet:{model}'"
    )
