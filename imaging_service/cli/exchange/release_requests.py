"""Commands about requests for controlled data: `release request new`, `decide`, `hand-over` …"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

request = typer.Typer(
    no_args_is_help=True, help="Requests for a controlled release, decided by a named person."
)
Folder = Annotated[Path, typer.Argument(help="Folder of the release.", show_default=False)]
Bundle = Annotated[Path, typer.Option(help="The release's bundle.", show_default=False)]
Identity = Annotated[str, typer.Argument(help="The request's id.", show_default=False)]


@request.command("new")
def new(
    folder: Folder,
    bundle: Bundle,
    who: Annotated[str, typer.Option(help="Who asks.", show_default=False)],
    institution: Annotated[str, typer.Option(help="Where they work.", show_default=False)],
    email: Annotated[str, typer.Option(help="Their address.", show_default=False)],
    purpose: Annotated[str, typer.Option(help="As DUO: GRU, HMB, DS, POA.", show_default=False)],
    use: Annotated[str, typer.Option(help="What is to be done.", show_default=False)],
    days: Annotated[int, typer.Option(help="For how long, in days.", show_default=False)],
    disease: Annotated[str, typer.Option(help="MONDO id, for DS.")] = "",
    ethics: Annotated[str, typer.Option(help="Reference of the ethics committee.")] = "",
    methods: Annotated[bool, typer.Option("--methods", help="Methods are developed.")] = False,
    non_profit: Annotated[bool, typer.Option("--non-profit", help="Institution.")] = False,
    non_commercial: Annotated[bool, typer.Option("--non-commercial", help="Use.")] = False,
) -> None:
    """Take a request, and say what the consents make of it."""
    from imaging_service.release.requests.records import make_request, verdict_on

    made = make_request(
        folder,
        bundle,
        datetime.now(UTC),
        who=who,
        institution=institution,
        email=email,
        purpose=purpose,
        use=use,
        days=days,
        disease=disease,
        ethics=ethics,
        methods=methods,
        non_profit=non_profit,
        non_commercial=non_commercial,
    )
    verdict = verdict_on(made, bundle)
    for reason in verdict.forbidden:
        typer.echo(f"forbidden: {reason}")
    for condition in verdict.conditions:
        typer.echo(f"condition: {condition}")
    typer.echo(f"Request {made.id}")


@request.command("list")
def show(folder: Folder) -> None:
    """Print requests and the audit log."""
    from imaging_service.release.requests.audit import entries
    from imaging_service.release.requests.records import requests_of

    for made in requests_of(folder):
        decision = made.decision
        state = "open" if decision is None else ("approved" if decision.approved else "rejected")
        if decision is not None and decision.revoked_at is not None:
            state = "revoked"
        typer.echo(f"{made.id}  {state:9} {made.who}, {made.institution}: {made.purpose}")
    for entry in entries(folder):
        when = entry.time.isoformat(timespec="seconds")
        typer.echo(f"{when}  {entry.actor}  {entry.action}  {entry.request}  {entry.detail}")


@request.command("decide")
def decide(
    folder: Folder,
    identity: Identity,
    bundle: Bundle,
    by: Annotated[str, typer.Option(help="Who decides, by name.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why.", show_default=False)],
    approve: Annotated[bool, typer.Option("--approve/--reject", show_default=False)],
) -> None:
    """Approve or reject a request; an approval prints the key, once."""
    from imaging_service.release.requests.records import decide as decide_on

    decided, key = decide_on(
        folder, bundle, identity, datetime.now(UTC), by=by, approve=approve, reason=reason
    )
    if key and decided.decision is not None and decided.decision.expires_at is not None:
        typer.echo(f"Key     {key}\nEnds    {decided.decision.expires_at.date()}")
        for condition in decided.decision.conditions:
            typer.echo(f"condition: {condition}")
    else:
        typer.echo(f"request {identity} is rejected")


@request.command("revoke")
def revoke(
    folder: Folder,
    identity: Identity,
    by: Annotated[str, typer.Option(help="Who revokes, by name.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why.", show_default=False)],
) -> None:
    """End a request's key at once."""
    from imaging_service.release.requests.records import revoke as end

    end(folder, identity, datetime.now(UTC), by=by, reason=reason)
    typer.echo(f"the key of request {identity} has ended")


@request.command("hand-over")
def hand_over(
    folder: Folder,
    bundle: Bundle,
    key_file: Annotated[Path, typer.Option(help="File with the key.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder for the copy.", show_default=False)],
) -> None:
    """Copy the bundle for the holder of a valid key."""
    from imaging_service.release.requests.records import hand_over as copy

    key = key_file.read_text(encoding="utf-8").strip()
    made = copy(folder, bundle, key, out, datetime.now(UTC))
    typer.echo(f"handed over to {made.who}: {out}")
