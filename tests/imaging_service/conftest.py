"""A run of six small wells, analysed in this process, and a service's database over it: no server,
no worker.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pytest
import tifffile

from imaging_service.client import Client
from tests.conftest import made_once

WELLS = ("B02", "B03", "B04", "B05", "C02", "C03")
MAP = (
    "well,line,genotype,compound,dose,unit,control,batch\n"
    "B02,L1,SOD1,DMSO,,,vehicle,b1\nB03,L1,SOD1,DMSO,,,vehicle,b1\nB04,L1,SOD1,x,1,uM,,b1\nB05,L1,SOD1,x,10,uM,,b1\n"
    "C02,L2,healthy,DMSO,,,vehicle,b1\nC03,L2,healthy,x,1,uM,,b1\nC04,L2,healthy,x,10,uM,,b1\n"
)
PROTOCOL = {
    "name": "small",
    "channels": {"dna": "1", "neurite": "2", "aggregate": "3"},
    "segmentation": {"engine": "classical"},
    "response": {"phenotypes": ["live_density", "nc_log2_aggregate"]},
}


def draw_scan(scan: Path, wells: Sequence[str] = WELLS, seed: int = 0) -> None:
    """Two fields of 160² px at 0.65 µm of each well; C04 of the map was not scanned."""
    from segmentation.phantoms.render import Culture, Optics, render

    scan.mkdir(parents=True)
    for i, well in enumerate(wells):
        for field in (1, 2):
            pixels = render(
                Culture(neurons_per_mm2=700, puncta_per_neuron=2.0),
                Optics(shape=(160, 160)),
                seed + 10 * i + field,
            ).field.pixels
            for channel in range(3):
                size = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
                tifffile.imwrite(
                    scan / f"p_{well}_s{field}_w{channel + 1}.tif",
                    pixels[channel],
                    ome=True,
                    metadata=size,
                )


@pytest.fixture(scope="session")
def small_inputs(tmp_path_factory: pytest.TempPathFactory):
    """Inputs of a scan of six wells."""
    from imaging_service.jobs.plan import read_inputs
    from imaging_service.protocol import parse_protocol

    def draw(folder: Path) -> None:
        draw_scan(folder / "Small-1")
        (folder / "map.csv").write_text(MAP)

    folder = made_once(tmp_path_factory, "small", draw)
    protocol = parse_protocol(PROTOCOL, "small")
    return read_inputs(folder / "Small-1", folder / "map.csv", protocol, None, "cpu")


def analyse_here(inputs, root: Path) -> None:
    """What `analyze` leaves in a folder, computed in this process: no other has to start."""
    from imaging_service.jobs.arrival.plate import conclude
    from imaging_service.jobs.arrival.wells import look_at
    from imaging_service.jobs.calibrate import calibrate
    from imaging_service.jobs.plan import identify, lay_out
    from imaging_service.jobs.records import RunFolder
    from imaging_service.jobs.summary import summarise
    from imaging_service.jobs.well import begin, process_well

    folder = RunFolder(root)
    record = lay_out(*identify(inputs), folder)
    begin(record.plate)
    look_at(folder.root, record.wells)
    conclude(folder.root)
    calibrate(folder)
    summarise(folder.root, {name: process_well(folder.root, name) for name in record.wells})


@pytest.fixture(scope="session")
def laid_out(small_inputs, tmp_path_factory: pytest.TempPathFactory):
    """(run folder, record, plan) before any well is analysed; not to be written to."""
    from imaging_service.jobs.plan import identify, lay_out
    from imaging_service.jobs.records import RunFolder

    folder = RunFolder(tmp_path_factory.mktemp("laid") / "run")
    record, plan = identify(small_inputs)
    return folder, lay_out(record, plan, folder), plan


@pytest.fixture(scope="session")
def small_run(small_inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run's folder; not to be written to."""

    def run(folder: Path) -> None:
        analyse_here(small_inputs, folder / "run")

    return made_once(tmp_path_factory, "small-run", run) / "run"


@pytest.fixture
def own_run(small_run, tmp_path: Path) -> Path:
    """A copy of the finished run, to be written to."""
    return shutil.copytree(small_run, tmp_path / "own", ignore=shutil.ignore_patterns("*.lock"))


LOCAL_TOKEN = "the token of a service without keys"


class Here:
    """Stands for the cluster: computes in this process."""

    processes = 1

    def offers_gpu(self):
        return False

    def run(self, function, *args, key):
        return function(*args)


@dataclass
class Served:
    """An application over a data folder with one finished run, asked without a server."""

    settings: object
    run: str
    folder: Path

    def ask(self, method: str, path: str, *, headers=None, **more):
        """One request of the local user, unless it shows a key of its own."""
        import asyncio

        import httpx

        async def one():
            transport = httpx.ASGITransport(self.application, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http:
                shown = {"Authorization": f"Bearer {LOCAL_TOKEN}"} | (headers or {})
                place = path.replace("RUN", self.run)
                return await http.request(method, place, headers=shown, **more)

        return asyncio.run(one())

    def get(self, path: str, **more):
        return self.ask("GET", path, **more)

    def client(self, url: str = "http://s", project: str = ""):
        """A client of this service, whose requests stay in this process."""
        import httpx

        passed = ("content-type", "authorization")

        def through(request: httpx.Request) -> httpx.Response:
            got = self.ask(
                request.method,
                request.url.raw_path.decode(),
                content=request.read(),
                headers={n.title(): v for n, v in request.headers.items() if n in passed},
            )
            return httpx.Response(got.status_code, content=got.content)

        made = Client(url, key="", project=project)
        made.close()
        made._http = httpx.Client(transport=httpx.MockTransport(through), base_url=url)
        return made

    @cached_property
    def application(self):
        """Made once: describing its routes takes longer than most requests."""
        from imaging_service.api.app import create_app

        return create_app(self.settings, LOCAL_TOKEN)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of this version without a row; a copy of it takes a hundredth of making it."""
    from imaging_service.database.session import database_engine
    from imaging_service.jobs.durable.opening import prepare_database

    def prepare(folder: Path) -> None:
        url = f"sqlite:///{folder / 'service.db'}"
        prepare_database(url)
        database_engine(url).dispose()

    return made_once(tmp_path_factory, "empty", prepare) / "service.db"


@pytest.fixture
def data_folder(
    empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[object]:
    """Settings of a service with an empty database."""
    from imaging_service.database.session import database_engine
    from imaging_service.settings import Settings

    monkeypatch.setenv("IMAGING_SERVICE_DATA_DIR", str(tmp_path / "data"))
    settings = Settings()
    file = settings.url.removeprefix("sqlite:///")
    Path(file).parent.mkdir(parents=True)
    shutil.copy(empty_database, file)
    yield settings
    database_engine(settings.url).dispose()


def computed_here(settings, patch: pytest.MonkeyPatch) -> None:
    """Let the steps of a workflow be called in this process; tables are not written again."""
    from imaging_service.jobs.durable import workflows

    patch.setattr(workflows.Context, "settings", settings, raising=False)
    patch.setattr(workflows.Context, "cluster", Here(), raising=False)
    patch.setattr("imaging_service.jobs.summary.write_summary", lambda *_: None)


def finished_service(
    settings, inputs, finished_run: Path, patch: pytest.MonkeyPatch, wells: Sequence[str] = WELLS
) -> Served:
    """A service whose one run is done: every step of its workflow was called in this process."""
    from imaging_service.jobs.durable import workflows
    from imaging_service.jobs.durable.queue import submit_run
    from imaging_service.jobs.records import RunFolder, WellOutcome, load

    run = submit_run(settings, inputs)
    computed_here(settings, patch)
    folder = workflows.run_folder(settings, run)
    shutil.copytree(
        finished_run,
        folder.root,
        ignore=shutil.ignore_patterns("*.lock", "record.json"),
        dirs_exist_ok=True,
    )
    for name in wells:
        outcome = load(WellOutcome, RunFolder(finished_run).outcome(name))
        workflows.commit_well.__wrapped__(run, workflows._plain(outcome))
    workflows.summarise_run.__wrapped__(run, 1)
    return Served(settings, run, folder.root)


@pytest.fixture(scope="session")
def finished(
    empty_database: Path, small_inputs, small_run, tmp_path_factory: pytest.TempPathFactory
) -> Served:
    """A service with one finished run, to be copied and never written to."""
    from imaging_service.database.session import database_engine
    from imaging_service.settings import Settings

    settings = Settings(data_dir=tmp_path_factory.mktemp("finished") / "data")
    settings.data_dir.mkdir()
    shutil.copy(empty_database, settings.data_dir / "service.db")
    with pytest.MonkeyPatch.context() as patch:
        served = finished_service(settings, small_inputs, small_run, patch)
    database_engine(settings.url).dispose()
    return served


@pytest.fixture
def served(data_folder, finished: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A copy of a service with one finished run: submitting a run would take longer."""
    from imaging_service.jobs.records import RunFolder, RunRecord, load, save

    before, after = (settings.data_dir.resolve() for settings in (finished.settings, data_folder))
    shutil.copytree(before, after, dirs_exist_ok=True)
    folder = RunFolder(after / finished.folder.resolve().relative_to(before))
    record = load(RunRecord, folder.record)
    save(replace(record, plate=after / record.plate.relative_to(before)), folder.record)
    computed_here(data_folder, monkeypatch)
    return Served(data_folder, finished.run, folder.root)


@pytest.fixture(scope="session")
def site(
    empty_database: Path, small_inputs, small_run, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A service with one finished run, of which a line has a curve; not to be written to."""
    from imaging_service.database.session import database_engine
    from imaging_service.settings import Settings
    from tests.imaging_service.drawn_answers import give_a_curve

    settings = Settings(
        data_dir=tmp_path_factory.mktemp("site") / "data", scan_roots=str(small_inputs.scan.parent)
    )
    settings.data_dir.mkdir()
    shutil.copy(empty_database, settings.data_dir / "service.db")
    with pytest.MonkeyPatch.context() as patch:
        served = finished_service(settings, small_inputs, small_run, patch)
    give_a_curve(served)
    yield served
    database_engine(settings.url).dispose()


@pytest.fixture(scope="session")
def three_written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of three runs as far as a screen reads them; not to be written to."""
    from tests.imaging_service.written_runs import three_runs

    return three_runs(tmp_path_factory.mktemp("written"))


@pytest.fixture
def screened(data_folder, three_written, monkeypatch: pytest.MonkeyPatch):
    """A service with three finished runs to make screens of."""
    from tests.imaging_service.screened import screened_service

    return screened_service(data_folder, three_written, monkeypatch)


@pytest.fixture
def exporting(screened, monkeypatch: pytest.MonkeyPatch):
    """A service with three finished runs, whose exports are written in this process."""
    from imaging_service.jobs.exports import workflow
    from tests.imaging_service.exported import STEPS, Exported

    for name in STEPS:
        monkeypatch.setattr(workflow, name, getattr(workflow, name).__wrapped__)
    return Exported(screened)


@pytest.fixture(scope="session")
def made_labs(tmp_path_factory: pytest.TempPathFactory):
    """Two laboratories; not to be written to."""
    from tests.imaging_service.tenants import make_two_labs

    made = make_two_labs(tmp_path_factory.mktemp("labs"))
    yield made
    made.close()


@pytest.fixture
def two_labs(made_labs, tmp_path: Path):
    """A copy of the two laboratories, to be written to."""
    copy = made_labs.copy(tmp_path / "labs")
    yield copy
    copy.close()
