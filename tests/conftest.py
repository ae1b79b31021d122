"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

# The same examples on every clone; `make test-random` draws others. No example has a time limit: a
# busy machine is not a fault.
settings.register_profile(
    "fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "random", settings.get_profile("fixed"), derandomize=False, print_blob=True, max_examples=300
)
settings.load_profile("fixed")

REPOSITORY = Path(__file__).parent.parent
REFERENCE = REPOSITORY / "tests" / "reference"
SHARED = REPOSITORY.parent / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """One thread in each of several processes, as wells are analysed: they share the cores.

    Keys of the services that tests start are not kept in the developer's own folder.
    """
    os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="imaging-service-tests-")
    # Nothing is asked of a storage that the developer's own environment names.
    os.environ |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    if hasattr(config, "workerinput"):
        from imaging_service.jobs.parallel.processes import limit_threads

        limit_threads(1)


def pytest_unconfigure() -> None:
    """Leave nothing in the system's folder for temporary files."""
    shutil.rmtree(os.environ["XDG_CONFIG_HOME"], ignore_errors=True)


def pytest_report_header() -> str:
    """Say once what becomes of the image suite."""
    return (
        f"images: {SHARED}"
        f" {'is there' if SHARED.is_dir() else 'is not there, tests marked images are left out'}"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say on which hosts workers ran: where namespaces are forbidden, they share this one."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, text in report.user_properties:
                    if name == "hosts":
                        terminalreporter.write_line(f"hosts: {text}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the image suite out where its data are not beside the repository; in CI they must be."""
    images = [item for item in items if item.get_closest_marker("images")]
    if not images or SHARED.is_dir():
        return
    if os.environ.get("CI"):
        raise pytest.UsageError(
            f"{len(images)} tests marked images need {SHARED}, which must be there in CI"
        )
    config.hook.pytest_deselected(items=images)
    items[:] = [item for item in items if not item.get_closest_marker("images")]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images and tables that cannot be part of the repository; only for tests marked `images`."""
    return SHARED


@pytest.fixture(scope="session")
def reference() -> Path:
    """Published numbers and vendors' metadata; tests/reference/README.md has their sources and
    licences.
    """
    return REFERENCE


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """A folder that `make` fills for all processes of the session: the first to ask makes it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, done = root / name, root / f"{name}.made"
    with FileLock(root / f"{name}.lock"):
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def phantom_plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small phantom plate: 8 wells per line, 2 fields of 320² px, with scan, plate map, protocol
    and truth.
    """
    from imaging_service.cli.demo import quick_optics, write_phantom_plate

    def draw(out: Path) -> None:
        for _ in write_phantom_plate(out, 1, optics=quick_optics(), only=8):
            pass

    return made_once(tmp_path_factory, "phantom", draw)


@pytest.fixture(scope="session")
def phantom_inputs(phantom_plate: Path):
    """The plate's inputs as `analyze` reads them."""
    from imaging_service.jobs.plan import read_inputs
    from imaging_service.protocol import load_protocol

    protocol = load_protocol(phantom_plate / "protocol.toml")
    return read_inputs(
        phantom_plate / "Phantom-1", phantom_plate / "plate_map.csv", protocol, None, "auto"
    )


@pytest.fixture(scope="session")
def analysed(phantom_inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `analyze` writes for the small phantom plate."""
    from imaging_service.jobs.analyze import analyze

    return made_once(
        tmp_path_factory, "results", lambda out: analyze(lambda: phantom_inputs, out, workers=2)
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, phantom_plate: Path):
    """(Service, Client): a real server with its worker, one per test module."""
    from tests.service import Service

    running = Service(tmp_path_factory.mktemp("service"), phantom_plate)
    client = running.start()
    yield running, client
    client.close()
    running.stop()


@pytest.fixture(scope="session")
def running_s3(tmp_path_factory: pytest.TempPathFactory):
    """A real S3-compatible server for the whole session."""
    from tests.s3 import S3Server

    running = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        running.start()
        running.make_bucket()
        yield running
    finally:
        running.stop()


@pytest.fixture
def bucket(running_s3, monkeypatch: pytest.MonkeyPatch):
    """A test's own folder in a bucket, which the test's process may read."""
    from tests.s3 import Bucket

    for name, value in running_s3.environment.items():
        monkeypatch.setenv(name, value)
    return Bucket(uuid.uuid4().hex[:8])


@pytest.fixture
def faulty_s3(running_s3, bucket, monkeypatch: pytest.MonkeyPatch):
    """The server of `bucket`, reached through one that has faults when a test sets them."""
    from imaging_service.incoming import s3
    from tests.faulty_s3 import HANGING, FaultyS3

    as_shipped = s3.ANSWER_S

    def wait_for_answers(fault: str) -> None:
        """Shorter than the 3 minutes as shipped only where a request hangs: on a busy machine the
        real server takes seconds for one that does not.
        """
        monkeypatch.setattr(s3, "ANSWER_S", 3.0 if fault in HANGING else as_shipped)
        s3.store_of.cache_clear()

    faulty = FaultyS3(running_s3.url, wait_for_answers)
    monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.url)
    s3.store_of.cache_clear()
    yield faulty
    faulty.close()
    s3.store_of.cache_clear()


@pytest.fixture(scope="session")
def submitted_plate(tmp_path_factory: pytest.TempPathFactory, phantom_plate: Path) -> Path:
    """Data folder of a stopped service to which the phantom plate was submitted; not to be written
    to.
    """
    from tests.service import Service, submit_phantom, wait_for

    def analyse(folder: Path) -> None:
        running = Service(folder, phantom_plate, workers="2")
        with running.start() as client:
            run = submit_phantom(client, phantom_plate)
            assert run.state in {"queued", "running"}
            state = wait_for(client, run.id).state
        running.stop()
        assert state == "done", running.log()

    return made_once(tmp_path_factory, "submitted", analyse) / "data"


@pytest.fixture(scope="module")
def plate_service(
    tmp_path_factory: pytest.TempPathFactory, phantom_plate: Path, submitted_plate: Path
):
    """(Service, Client): a real server with its worker, where the phantom plate is done."""
    from tests.service import Service

    folder = tmp_path_factory.mktemp("plate_service")
    shutil.copytree(submitted_plate, folder / "data")
    running = Service(folder, phantom_plate)
    client = running.start()
    yield running, client
    client.close()
    running.stop()


@pytest.fixture(scope="module")
def done(plate_service):
    """State of its run."""
    (run,) = plate_service[1].runs()
    return run
