"""The command line. Imports are where they are used, so that `--help` answers at once."""

from __future__ import annotations

import errno
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import typer.core

from imaging_service.cli import models as model_commands
from imaging_service.cli import plate_map as plate_map_commands
from imaging_service.cli import registry as registry_commands
from imaging_service.cli import review as review_commands
from imaging_service.cli import segmentation as segmentation_commands
from imaging_service.cli.access import keys as key_commands
from imaging_service.cli.access import members as member_commands
from imaging_service.cli.access import signin as signin_commands
from imaging_service.cli.backup import backup, copy_run, restore
from imaging_service.cli.calibrate import calibrate
from imaging_service.cli.exchange import federation as federation_commands
from imaging_service.cli.exchange import release as release_commands
from imaging_service.cli.exchange import release_offers as offer_commands
from imaging_service.cli.exchange import release_requests as request_commands
from imaging_service.cli.folders import ServiceUrl, fetch, read_runs, written_to
from imaging_service.cli.inspection import inspect
from imaging_service.cli.registry import ProjectOption, Url
from imaging_service.cli.response_tables import (
    add_row,
    print_responses,
    print_survival,
    print_truth,
)
from imaging_service.cli.screens import screen as screen_commands
from imaging_service.cli.screens.screen_order import order
from imaging_service.cli.screens.screen_power import power
from imaging_service.cli.upload import upload
from imaging_service.errors import ServiceError
from imaging_service.incoming.s3 import place
from imaging_service.key_file import LOCAL_URL

if TYPE_CHECKING:
    from typing import Any

    from rich.console import Console

    from imaging_service.client import Client
    from imaging_service.jobs.records import RunInputs, WellOutcome

# As a laboratory meets them: a plate, many plates, a service, and its administration.
_FIRST = [
    "phantom",
    "demo",
    "inspect",
    "plate-map",
    "analyze",
    "review",
    "screen",
    "models",
    "calibrate",
    "growth",
    "bench",
    "serve",
    "doctor",
    "upload",
    "submit",
    "status",
    "cancel",
    "resume",
    "retry",
    "prefer",
    "delete",
    "fetch",
    "login",
    "logout",
    "whoami",
    "registry",
    "release",
    "worker",
    "keys",
    "labs",
    "members",
    "projects",
    "audit",
    "backup",
    "restore",
    "copy-run",
]


class _InOrder(typer.core.TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands, in the order of `_FIRST`."""
        return sorted(super().list_commands(ctx), key=_FIRST.index)


app = typer.Typer(
    cls=_InOrder,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help starts in half the time
    help="From a plate scan of iPSC motor neurons to per-line drug-response tables.",
)

app.command("inspect")(inspect)
app.command("upload")(upload)
app.command("backup")(backup)
app.command("restore")(restore)
app.command("fetch")(fetch)
app.command("copy-run")(copy_run)
app.command("calibrate")(calibrate)
for command in (model_commands.train, model_commands.show, model_commands.promote):
    segmentation_commands.models.command(command.__name__)(command)
app.add_typer(key_commands.keys, name="keys")
app.add_typer(member_commands.labs, name="labs")
app.add_typer(member_commands.members, name="members")
app.add_typer(member_commands.projects, name="projects")
for signin in ("login", "logout", "whoami", "audit"):
    app.command(signin)(getattr(signin_commands, signin))
app.add_typer(segmentation_commands.models, name="models")
app.add_typer(segmentation_commands.bench, name="bench")
app.add_typer(plate_map_commands.plate_map, name="plate-map")
screen_commands.screen.command("order")(order)
screen_commands.screen.command("power")(power)
screen_commands.screen.command("keys")(federation_commands.keys)
screen_commands.screen.command("summary")(federation_commands.summary)
screen_commands.screen.command("send-summary")(federation_commands.send_summary)
screen_commands.screen.command("add-summary")(federation_commands.add_summary)
app.add_typer(screen_commands.screen, name="screen")
app.add_typer(registry_commands.registry, name="registry")
app.add_typer(review_commands.review, name="review")
for named in (offer_commands.offer, offer_commands.offers, offer_commands.download):
    release_commands.release.command(named.__name__)(named)
release_commands.release.command("end-offer")(offer_commands.end_offer)
release_commands.release.add_typer(request_commands.request, name="request")
app.add_typer(release_commands.release, name="release")

Scan = Annotated[
    Path,
    typer.Argument(
        help="Folder of the plate's scan; an OME-Zarr plate may lie at s3://BUCKET/FOLDER.",
        show_default=False,
        parser=place,
        metavar="SCAN",
    ),
]
MapOption = Annotated[
    Path,
    typer.Option("--plate-map", help="CSV, TSV or XLSX: what is in each well.", show_default=False),
]
ProtocolOption = Annotated[
    Path,
    typer.Option("--protocol", help="TOML: channel roles, engine, phenotypes.", show_default=False),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine", help="motornet, classical, or cellpose:MODEL. The protocol's if not given."
    ),
]
PlateOption = Annotated[
    str,
    typer.Option(
        "--plate", help="Barcode in a map of several plates; the scan folder's name if not given."
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]


class Priority(StrEnum):
    """How soon a run's wells have their turn."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@app.command()
def analyze(
    scan: Scan,
    plate_map: MapOption,
    protocol: ProtocolOption,
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for tables, pictures and record.", show_default=False),
    ],
    engine: Engine = None,
    device: Device = "auto",
    plate: PlateOption = "",
    workers: Annotated[int, typer.Option(help="Processes; 0 means one per core.")] = 0,
) -> None:
    """Analyse a plate on this machine, without a server.

    After an interruption the same command goes on where it stopped.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from imaging_service.jobs.analyze import analyze as run
    from imaging_service.jobs.analyze import must_be_outside

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    failed: list[WellOutcome] = []
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("planning", total=None)

        def show(outcome: WellOutcome, done: int, total: int) -> None:
            bar.update(task, description=f"well {outcome.well}", completed=done, total=total)
            if outcome.status == "failed":
                failed.append(outcome)
                bar.console.print(
                    f"failed {outcome.well}: {outcome.reason}",
                    highlight=False,
                    markup=False,
                    style="red",
                )

        def read() -> RunInputs:
            from imaging_service.jobs.plan import read_inputs
            from imaging_service.protocol import load_protocol

            return read_inputs(scan, plate_map, load_protocol(protocol), engine, device, plate)

        must_be_outside(scan, out)
        try:
            record = run(read, out, device=device, workers=workers, progress=show)
        except KeyboardInterrupt:
            bar.stop()
            typer.echo("\nstopped; the same command goes on where it stopped", err=True)
            raise typer.Exit(130) from None
        bar.update(task, description="done")
    print_findings(
        console,
        [*record.findings, *record.notes, *(f"{w}: {r}" for w, r in record.skipped.items())],
    )
    import polars as pl

    print_responses(pl.read_parquet(out / "responses.parquet"))
    print_survival(pl.read_parquet(out / "hazards.parquet"))
    typer.echo(
        f"\nTable   {out / 'responses.csv'}\nReport  {out / 'report.html'}\nRecord "
        f" {out / 'run.json'}"
    )
    if failed:
        typer.echo(f"{len(failed)} well(s) failed; the report has the reasons.", err=True)


@app.command()
def growth(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run (--out of analyze); with --url a run's id.", show_default=False
        ),
    ],
    dosing: Annotated[
        Path,
        typer.Option(
            "--dosing",
            help="Run of the plate, or of one seeded with it, imaged when it was dosed.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the table; RUN if not given.")
    ] = None,
    url: ServiceUrl = None,
) -> None:
    """Write growth.csv: growth-rate inhibition per well, for cells that divide."""
    from imaging_service.jobs.films.growth import write_growth
    from imaging_service.review.fetched import WELLS

    target = written_to(url, run, out)
    with read_runs(url, [run, dosing], WELLS) as (end, start):
        table = write_growth(end, start, target)
    for status, count in table["status"].value_counts(sort=True).iter_rows():
        typer.echo(f"{count:5} wells  {status}")
    typer.echo(f"Table  {target / 'growth.csv'}")


@app.command()
def phantom(
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write the plate to.", show_default=False)
    ],
    seed: Annotated[int, typer.Option(help="The same seed gives the same pixels.")] = 1,
) -> None:
    """Write a small phantom plate with its truth: three lines, two compounds, eight doses."""
    _draw_phantom(out, seed)
    typer.echo(
        f"Look       imaging-service plate-map check {out / 'plate_map.csv'}\n"
        f"Next       imaging-service analyze {out / f'Phantom-{seed}'} --plate-map"
        f" {out / 'plate_map.csv'} --protocol {out / 'protocol.toml'} --out results"
    )


def _draw_phantom(out: Path, seed: int) -> None:
    from rich.progress import track

    from imaging_service.cli.demo import layout, write_phantom_plate

    for _ in track(
        write_phantom_plate(out, seed), total=len(layout(seed)), description="drawing wells"
    ):
        pass
    typer.echo(
        f"Scan       {out / f'Phantom-{seed}'}\nPlate map  {out / 'plate_map.csv'}\nProtocol  "
        f" {out / 'protocol.toml'}\nTruth      {out / 'truth'}"
    )


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for plate and results.")] = Path(
        "demo-output"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the phantom plate.")] = 1,
) -> None:
    """Write the phantom plate, analyse it, and print the response table beside the truth."""
    import polars as pl

    from imaging_service.cli.demo import beside_truth

    plate = out / f"phantom-{seed}"
    results = out / f"results-{seed}"
    _draw_phantom(plate, seed)
    analyze(plate / f"Phantom-{seed}", plate / "plate_map.csv", plate / "protocol.toml", results)
    compared = beside_truth(pl.read_parquet(results / "responses.parquet"))
    print_truth(compared)
    active, flat = (
        compared.filter(pl.col("true_ec50_molar").is_not_null()),
        compared.filter(pl.col("true_ec50_molar").is_null()),
    )
    typer.echo(
        f"\n{int(active['agrees'].sum())} of {len(active)} true EC50s lie in their 95 % interval; "
        f"{int(flat['agrees'].sum())} of {len(flat)} curves without effect were called flat."
    )


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Any but loopback needs members with keys, and TLS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.")] = 8765,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Keep one worker running beside the API.")
    ] = True,
    processes: Annotated[
        int,
        typer.Option(min=0, max=64, help="Processes of the API; 0 means one per four cores."),
    ] = 0,
) -> None:
    """Serve API and pages, with one supervised worker."""
    # Before the imports, which take a second or two.
    typer.echo("starting …")
    from imaging_service.api.server import serve as run

    run(host, port, with_worker=worker, processes=processes)


@app.command("worker")
def run_worker() -> None:
    """Analyse queued plates until stopped; started again by itself where it dies."""
    from imaging_service.jobs.durable.worker import run_worker as run

    run()


@app.command()
def doctor() -> None:
    """Look at database, store, space, workers, weights, GPU, Dask; exits with 1 if one is ill."""
    from imaging_service.jobs.durable.doctor import examine
    from imaging_service.settings import settings

    ill = 0
    for finding in examine(settings()):
        ill += not finding.well
        typer.echo(f"{'ok ' if finding.well else 'NO '} {finding.part:<11} {finding.text}")
    if ill:
        raise typer.Exit(1)


@app.command()
def submit(
    scan: Scan,
    plate_map: MapOption,
    protocol: ProtocolOption,
    engine: Engine = None,
    device: Device = "auto",
    plate: PlateOption = "",
    priority: Annotated[
        Priority, typer.Option("--priority", help="Four wells in each turn, one, or a quarter.")
    ] = Priority.NORMAL,
    url: Url = LOCAL_URL,
    project: ProjectOption = "",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show progress until the run has ended.")
    ] = False,
) -> None:
    """Submit a plate to the service, and print the run's id.

    The same plate, map and protocol are the same run.
    """
    from imaging_service.client import Client

    with Client(url, project=project) as client:
        run = client.submit(
            scan,
            plate_map,
            protocol,
            engine=engine,
            device=device,
            plate=plate,
            priority=priority.value,
        )
        typer.echo(run.id)
        if wait:
            follow(client, run.id)


@app.command()
def status(
    run: Annotated[
        str | None,
        typer.Argument(help="A run's id or the beginning of one; all runs if not given."),
    ] = None,
    url: Url = LOCAL_URL,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show progress until the run has ended.")
    ] = False,
) -> None:
    """Show runs and their progress."""
    from rich.console import Console
    from rich.table import Column, Table

    from imaging_service.client import Client

    with Client(url) as client:
        if run is not None and wait:
            follow(client, run)
            return
        runs = client.runs() if run is None else [client.run(run)]
        if not runs:
            typer.echo(
                f"{client.url} has no run that you may see; `imaging-service submit` makes one"
            )
            return
        # In a narrow terminal the plate's name gives way: ids are copied, and numbers are read.
        table = Table(
            Column("run", no_wrap=True),
            Column("plate", overflow="fold"),
            *(Column(n, no_wrap=True) for n in ("state", "done", "failed", "skipped", "left")),
        )
        for r in runs:
            p = r.progress
            add_row(
                table,
                r.id[:12],
                r.plate_name,
                r.state,
                str(p.done),
                str(p.failed),
                str(p.skipped),
                str(p.left),
            )
        Console().print(table)
        for r in runs:
            if r.reason:
                typer.echo(f"{r.id[:12]}: {r.reason}")


RunArgument = Annotated[
    str, typer.Argument(help="A run's id or the beginning of one.", show_default=False)
]


@app.command()
def cancel(run: RunArgument, url: Url = LOCAL_URL) -> None:
    """Stop a run; wells that are done stay done."""
    _said(url, run, "cancel")


@app.command()
def prefer(
    run: RunArgument,
    priority: Annotated[Priority, typer.Argument(show_default=False)],
    url: Url = LOCAL_URL,
) -> None:
    """Change the priority of a run that is queued: high, normal or low."""
    from imaging_service.client import Client

    with Client(url) as client:
        state = client.prefer(run, priority.value)
    typer.echo(f"{state.id} {state.state} {state.priority}")


@app.command()
def resume(run: RunArgument, url: Url = LOCAL_URL) -> None:
    """Let a cancelled run go on."""
    _said(url, run, "resume")


@app.command()
def retry(
    run: RunArgument,
    wells: Annotated[
        str, typer.Option("--wells", help="Such as B03,B04; all that failed if not given.")
    ] = "",
    url: Url = LOCAL_URL,
) -> None:
    """Analyse the failed wells of a run again."""
    named = [w.strip() for w in wells.split(",") if w.strip()]
    _said(url, run, "retry", {"wells": named} if named else None)


@app.command()
def delete(run: RunArgument, url: Url = LOCAL_URL) -> None:
    """Remove a run with its tables, labels and review."""
    from imaging_service.client import Client

    with Client(url) as client:
        client.delete(run)
    typer.echo(f"{run} deleted")


def _said(url: str, run: str, verb: str, body: dict[str, Any] | None = None) -> None:
    from imaging_service.client import Client

    with Client(url) as client:
        state = client.say(run, verb, body)
    typer.echo(f"{state.id} {state.state} {state.reason}".rstrip())


def follow(client: Client, run: str) -> None:
    """Show a run's progress until it has ended; exits with 1 if it failed."""
    import time

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("queued", total=None)
        while True:
            state = client.run(run)
            p = state.progress
            ended = p.done + p.failed
            bar.update(
                task,
                description=(
                    f"waiting: {state.reason}" if state.state == "waiting" else state.state
                )
                + (f", {p.failed} failed" if p.failed else ""),
                completed=ended,
                total=ended + p.left,
            )
            if state.state in {"done", "failed", "cancelled"}:
                break
            time.sleep(0.5)
    typer.echo(f"{state.id} {state.state} {state.reason}".rstrip())
    if state.state in {"failed", "cancelled"}:
        raise typer.Exit(1)


def print_findings(console: Console, findings: list[str]) -> None:
    """Print remarks on map and scan, one per line."""
    for finding in findings[:20]:
        console.print(f"note: {finding}", highlight=False, markup=False)
    if len(findings) > 20:
        console.print(f"note: … and {len(findings) - 20} more in run.json", markup=False)


# What only the user can mend: who may write where, space, a file where a folder is needed.
_DISK = {
    (errno.EACCES, errno.EPERM, errno.EROFS): "you may not write or read there: give another path",
    (errno.ENOSPC, errno.EDQUOT): "free some space, then give the same command again",
    (errno.EEXIST, errno.ENOTDIR): "a file is where a folder is needed: give another path",
    (errno.EISDIR,): "a folder is where a file is needed: give the path of the file",
}


def _of_the_disk(error: OSError) -> str:
    """What to do about a fault of a file or folder; empty where it may be one of the program."""
    if error.filename is None:
        return ""
    return next((advice for codes, advice in _DISK.items() if error.errno in codes), "")


def main() -> None:
    """Entry point of the command line.

    An error that a user can act on is one message and exit code 2, without a traceback.
    """
    try:
        app()
    except ModuleNotFoundError as error:
        if str(error.name).startswith("imaging_service"):
            raise
        advice = "install it: pip install 'motor-neuron-imaging-service[service]'"
        typer.echo(
            f"imaging-service: this command needs the service extra ({error}); {advice}", err=True
        )
        raise SystemExit(2) from None
    except ServiceError as error:
        typer.echo(f"imaging-service: {error}", err=True)
        raise SystemExit(2) from None
    except OSError as error:
        advice = _of_the_disk(error)
        if not advice:
            raise
        typer.echo(f"imaging-service: {error.filename}: {error.strerror}; {advice}", err=True)
        raise SystemExit(2) from None
