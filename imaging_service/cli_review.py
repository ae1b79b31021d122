"""Commands about the review of a run: `review apply` and `review history`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

review = typer.Typer(no_args_is_help=True, help="What reviewers corrected, accepted and rejected, and the tables that follow.")
Run = Annotated[Path, typer.Argument(help="Folder of a run (--out of analyze).", show_default=False)]


@review.command("apply")
def apply(run: Run) -> None:
    """Measure corrected fields again and fit the curves that moved; the tables go to RUN/corrected, the run's own stay."""
    from imaging_service.jobs.corrections import apply_review

    done = apply_review(run)
    fields = ", ".join(f"{well} field {number}" for well, number in done.measured) or "none"
    typer.echo(
        f"revision {done.revision}; corrected fields: {fields}; lines fitted again: {', '.join(done.lines) or 'none'}\nTables  {done.folder}"
    )


@review.command("history")
def history(run: Run) -> None:
    """Every version of labels and every verdict, by field and then in order."""
    from imaging_service.client import RunFolder
    from imaging_service.review_log import ReviewLog

    log = ReviewLog(RunFolder(run).root)
    for well, number in log.corrected():
        for v in log.history(well, number):
            what = ", ".join(v.region)
            typer.echo(
                f"{v.time:%Y-%m-%d %H:%M} {v.author}: {well} field {number} version {v.version} of {v.parent} ({what}) {v.reason}".rstrip()
            )
    for verdict in log.verdicts():
        of = verdict.well + (f" field {verdict.field}" if verdict.field else "") + (f" track {verdict.track}" if verdict.track else "")
        word = "accepted" if verdict.accepted else "rejected"
        typer.echo(f"{verdict.time:%Y-%m-%d %H:%M} {verdict.author}: {of} {word} {verdict.reason}".rstrip())
