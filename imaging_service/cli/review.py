"""Commands about the review of a run: `review queue|apply|history|agreement|export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imaging_service.cli.folders import ServiceUrl, opened, read_runs

review = typer.Typer(
    no_args_is_help=True,
    help="What reviewers corrected, accepted and rejected, and the tables that follow.",
)
Run = Annotated[
    Path,
    typer.Argument(
        help="Folder of a run (--out of analyze); with --url a run's id.", show_default=False
    ),
]


@review.command("queue")
def queue(
    run: Run,
    most: Annotated[int, typer.Option(help="Rows to print.", min=1)] = 20,
    url: ServiceUrl = None,
) -> None:
    """Rank fields by how much they need a look; the napari plug-in follows the order (key Q).

    A service has ranked its runs already.
    """
    if url is None:
        from imaging_service.jobs.review.results import rank

        columns = ("score", "well", "field", "why")
        ranked = rank(run).select(columns).rows()
        where = f"; written to {run / 'review' / 'queue.csv'}"
    else:
        with opened(url) as client:
            entries = client.ask("GET", f"/runs/{run}/queue").json()
        ranked = [(e["score"], e["well"], e["field"], e["why"]) for e in entries]
        where = ""
    for score, well, field, why in ranked[:most]:
        typer.echo(f"{score:5.2f}  {well} field {field}  {why}".rstrip())
    with_reason = sum(score > 0 for score, *_ in ranked)
    typer.echo(f"{len(ranked)} fields, {with_reason} with a reason{where}")


@review.command("apply")
def apply(run: Run, url: ServiceUrl = None) -> None:
    """Measure corrected fields again and fit the curves that they change.

    The tables go to RUN/corrected; those of the run itself stay. A service's tables follow by
    themselves; with --url it is asked for them once more, and waited for.
    """
    if url is not None:
        from imaging_service.review.remote import RemoteRun

        remote = RemoteRun.connect(url, str(run))
        remote.apply()
        typer.echo(f"revision {remote.state().applied}")
        remote.close()
        return
    from imaging_service.jobs.review.corrections import apply_review

    done = apply_review(run)
    fields = (
        ", ".join(
            f"{well} field {number}" + (f" time {frame}" if frame > 1 else "")
            for well, number, frame in done.measured
        )
        or "none"
    )
    typer.echo(
        f"revision {done.revision}; corrected fields: {fields}; lines fitted again:"
        f" {', '.join(done.lines) or 'none'}\nTables  {done.folder}"
    )


@review.command("history")
def history(
    run: Run,
    reading: Annotated[
        str, typer.Option(help="An independent reading instead of the run's own record.")
    ] = "",
    url: ServiceUrl = None,
) -> None:
    """Every version of labels and every verdict, by field and then in order."""
    from imaging_service.review.fetched import REVIEW

    with read_runs(url, [run], REVIEW) as (folder,):
        _history(folder, reading)


def _history(run: Path, reading: str) -> None:
    from imaging_service.review.local import LocalRun
    from imaging_service.review.log import ReviewLog

    log = ReviewLog(LocalRun(run).root, reading)
    for well, number in log.corrected():
        for v in log.history(well, number):
            what = ", ".join(dict.fromkeys(r.compartment for r in v.regions))
            typer.echo(
                f"{v.time:%Y-%m-%d %H:%M} {v.author}: {well} field {number} version {v.version} of"
                f" {v.parent} ({what}) {v.reason}".rstrip()
            )
    for verdict in log.verdicts():
        of = (
            verdict.well
            + (f" field {verdict.field}" if verdict.field else "")
            + (f" track {verdict.track}" if verdict.track else "")
        )
        word = "accepted" if verdict.accepted else "rejected"
        typer.echo(
            f"{verdict.time:%Y-%m-%d %H:%M} {verdict.author}: {of} {word} {verdict.reason}".rstrip()
        )


@review.command("agreement")
def agree(
    run: Run,
    other: Annotated[
        Path | None,
        typer.Argument(
            help=(
                "Folder of a copy of the same run that another reviewer reviewed; the engine's"
                " labels if not given."
            )
        ),
    ] = None,
    readings: Annotated[
        str,
        typer.Option(help="Instead of a copy: two independent readings of the run, as in ann,bob."),
    ] = "",
    compartment: Annotated[
        str, typer.Option(help="nuclei, somas, neurites, puncta or granules.")
    ] = "nuclei",
    out: Annotated[Path | None, typer.Option("--out", help="Write all fields as JSON.")] = None,
    url: ServiceUrl = None,
) -> None:
    """Measure how well two reviewers, or the engine and one reviewer, agree.

    Over the fields that both reviewed; with two, also the engine's F1 against the objects that both
    have.
    """
    from imaging_service.files import write_bytes
    from imaging_service.jobs.review.agreement import agreement, as_json
    from imaging_service.review.fetched import FIELDS
    from imaging_service.review.local import LocalRun

    names = [name.strip() for name in readings.split(",") if name.strip()]
    if names and (len(names) != 2 or other is not None):
        raise typer.BadParameter(
            "give either two readings, as in --readings ann,bob, or a copy of the run, not both"
        )
    with read_runs(url, [run], FIELDS, fields=True) as (folder,):
        one = LocalRun(folder, names[0] if names else "")
        second = (
            LocalRun(folder, names[1]) if names else LocalRun(other) if other is not None else None
        )
        measured = agreement(one, second, compartment)
    against = "engine against reviewer" if second is None else "two reviewers"
    what = "F1 of skeletons within 3 pixels" if compartment == "neurites" else "F1 at IoU 0.5"
    figures = {
        what: measured.f1,
        "mean Dice": measured.dice,
        "kappa of verdicts": measured.kappa,
    }
    if second is not None:
        figures["the engine's F1 against the objects of both"] = measured.engine_f1
    numbers = ", ".join(
        f"{name} {'–' if value is None else f'{value:.3f}'}" for name, value in figures.items()
    )
    typer.echo(
        f"{against}, {compartment}, {len(measured.fields)} fields ({measured.n_judged} judged by"
        f" both): {numbers}"
    )
    if out is not None:
        write_bytes(out, as_json(measured).encode())


@review.command("export")
def export(
    run: Run,
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for images, labels and manifest.", show_default=False),
    ],
    lines: Annotated[
        Path | None,
        typer.Option(
            help="Line registry (TSV), for the consent of each line; else it is unknown.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    url: ServiceUrl = None,
) -> None:
    """Write corrected and accepted fields: pixels, all labels, who drew what, and consent.

    `calibrate`, `models train` and `bench segmentation --nuclei` read them.
    """
    from imaging_service.jobs.review.export import export_training, read_registry
    from imaging_service.review.fetched import FIELDS

    known = None if lines is None else read_registry(lines)
    with read_runs(url, [run], FIELDS, fields=True) as (folder,):
        done = export_training(folder, out, known, "" if lines is None else lines.name)
    typer.echo(f"{done.fields} fields in {out}, {done.nuclei} of them with nuclei to train on")
    if done.unknown:
        why = "; give the registry with --lines" if lines is None else ""
        typer.secho(f"consent unknown: line {', '.join(done.unknown)}{why}", err=True)
    if done.no_methods:
        typer.secho(
            "consent forbids methods research (DUO NMDS), so these may not be trained on: line"
            f" {', '.join(done.no_methods)}",
            err=True,
        )
