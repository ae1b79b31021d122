"""Every command of the README is run, in the README's order and each on what the earlier ones made.

On the smallest plates there are: what stands for its placeholders is in one table, `ROWS`. What
cannot run inside of a suite, its set-up, is run by targets of the Makefile: `TARGETS`.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
import tomllib
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from openpyxl import Workbook

from imaging_service.cli.demo import write_phantom_plate
from plate_maps.conditions import format_dose
from segmentation.engines.weights import motornet_path
from tests.faults.conftest import end
from tests.imaging_service.conftest import draw_scan
from tests.imaging_service.written_runs import planned_runs
from tests.messages import states
from tests.service import free_port

README = Path(__file__).parents[2] / "README.md"
SOURCED = f"source {Path(sys.prefix) / 'bin' / 'activate'}"
REGISTRY = (
    "line\tdonor\tgene\tgenotype\tzygosity\tisogenic_parent\tedit\tconsent\tconsent_scope\n"
    "SOD1-07\tD1\tSOD1\tSOD1 p.A5V\theterozygous\t\t\tGRU\topen\n"
    "SOD1-07-iso\tD1\tSOD1\tSOD1 corrected\twild type\tSOD1-07\tcorrected\tGRU\topen\n"
)
COMPOUNDS = "id\tname\tsynonyms\nC1\triluzole\tRiluzole HCl\n"
# Of each line four vehicle wells, below which nothing is fitted, and a well at each of four doses.
DOSES = ("", "", "", "", "0.1", "1", "10", "30")
LAID_OUT = [
    (f"{row}{column:02d}", line, genotype, dose)
    for row, line, genotype in (
        ("B", "SOD1-07", "SOD1 p.A5V"),
        ("C", "SOD1-07-iso", "SOD1 corrected"),
    )
    for column, dose in enumerate(DOSES, 2)
]
WELLS = [well for well, *_ in LAID_OUT]


def map_of(number: int) -> str:
    """The map of a plate, of a batch of its own."""
    rows = ["well,line,genotype,compound,dose,unit,control,batch"]
    for well, line, genotype, dose in LAID_OUT:
        treated = f"riluzole,{dose},uM," if dose else "DMSO,,,vehicle"
        rows.append(f"{well},{line},{genotype},{treated},diff-{number}")
    return "\n".join(rows) + "\n"


def blocks(text: str) -> list[str]:
    """Blocks of code, as they are typed; what a list shows of files is indented further."""
    return [
        textwrap.dedent(block)
        for block in re.findall(r"(?<=\n\n) {4}\S.*\n(?: *\n(?= {4})| {4}.*\n)*", text)
    ]


def is_python(block: str) -> bool:
    return block.startswith(("from ", "import "))


def commands(text: str) -> list[str]:
    """Commands of the README in its order, without remarks; a program in Python is one."""
    typed = []
    for block in blocks(text):
        if is_python(block):
            typed.append(block)
            continue
        lines = re.sub(r"\\\n\s*", "", block).splitlines()
        typed += filter(None, (re.sub(r"(^|\s{2,})#.*", "", line.strip()) for line in lines))
    return typed + sorted(set(re.findall(r"`(pip install [^`]+)`", text)))


def rows_of(table: str) -> list[dict[str, str]]:
    """Rows of a CSV, which begins with a byte order mark."""
    return list(csv.DictReader(table.removeprefix("\ufeff").splitlines()))


class Session:
    """A folder in which the commands are typed one after another, and what they printed."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack, self.port = folder, stack, free_port()
        self.printed, self.place, self.run_id = "", "", ""
        own = {k: v for k, v in os.environ.items() if not k.startswith("IMAGING_SERVICE_")}
        # One process for wells each, and no colours in the middle of a word.
        self.environment = own | {"IMAGING_SERVICE_WORKERS": "1", "NO_COLOR": "1", "COLUMNS": "200"}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def type(self, line: str, code: int = 0) -> str:
        """Run a line in a shell where the environment of the suite is active."""
        done = subprocess.run(
            ["bash", "-c", f"{SOURCED} && {line}"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        self.printed = done.stdout
        return done.stdout

    def rows(self, path: str) -> list[dict[str, str]]:
        return rows_of((self.folder / path).read_text(encoding="utf-8"))

    @contextmanager
    def serving(self, line: str):
        """A server, from its link in the output to the block's end."""
        log = self.folder / "serve.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", f"{SOURCED} && exec {line}"],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=out,
            )
        try:
            deadline = time.monotonic() + 600
            while not (link := re.search(r"http://\S+/open\?token=\S+(?=\n)", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            self.printed = link[0]
            yield
        finally:
            end(process)


@dataclass(frozen=True)
class Row:
    """A command, what stands here for its words, and a value of its result."""

    line: str
    check: Callable[[Session], bool]
    means: dict[str, str] = field(default_factory=dict)
    before: Callable[[Session], None] | None = None
    code: int = 0

    def run(self, session: Session) -> None:
        if self.before is not None:
            self.before(session)
        line = self.line
        known = {"PORT": str(session.port), "PLACE": session.place, "RUN": session.run_id}
        for word, stands in self.means.items():
            assert word in line, f"{word} is not in {line}"
            line = line.replace(word, re.sub(r"\{(\w+)\}", lambda m: known[m[1]], stands))
        if is_python(self.line):
            program = session.folder / "program.py"
            program.write_text(f"{line}\nprint(len(rows))\n")
            line = f"python {program}"
        if line.startswith("imaging-service serve"):
            session.stack.enter_context(session.serving(line))
        else:
            session.type(line, self.code)
        assert self.check(session), f"{line}\n{session.printed}"


def prepare_plates(session: Session) -> None:
    """Three scans, their maps, and the protocol that the README shows."""
    shown = README.read_text(encoding="utf-8")
    protocol = re.search(r'^ {6}name = "tubb3-tdp43"\n(?: {6}.*\n)+', shown, re.M)
    (session.folder / "protocol.toml").write_text(textwrap.dedent(protocol[0]))
    for number in (1, 2, 3):
        draw_scan(session.folder / f"Small-{number}", WELLS, 1000 * number)
        text = map_of(number)
        (session.folder / f"map-{number}.csv").write_text(text)
        book = Workbook()
        for row in csv.reader(text.splitlines()):
            book.active.append(row)
        book.save(session.folder / f"map-{number}.xlsx")


def analyse_two_more(session: Session) -> None:
    """As the first, so that there are three plates of a batch each."""
    shutil.copytree(session.folder / "results", session.folder / "results-1")
    for number in (2, 3):
        session.type(
            f"imaging-service analyze Small-{number} --plate-map map-{number}.csv"
            f" --protocol protocol.toml --out results-{number}"
        )
    (session.folder / "lines.tsv").write_text(REGISTRY)
    (session.folder / "compounds.tsv").write_text(COMPOUNDS)


def fit_a_larger_screen(session: Session) -> None:
    """Of four batches and 48 rows; a plan needs ten."""
    runs = " ".join(str(run) for run in planned_runs(session.folder / "written"))
    session.type(f"imaging-service screen add planned {runs} && imaging-service screen fit planned")


def make_keys(session: Session) -> None:
    session.type("imaging-service screen keys keys --consortium")


def review(session: Session) -> None:
    """What two reviewers leave in two copies: of one field each a nucleus less, as in napari."""
    from imaging_service.review.crops import Crop
    from imaging_service.review.local import LocalRun

    shutil.copytree(session.folder / "results", session.folder / "copy")
    for name, author in (("results", "ann"), ("copy", "bob")):
        run = LocalRun(session.folder / name)
        drawn = run.engine_labels("B04", 1)
        first = drawn["nuclei"][drawn["nuclei"] > 0].min()
        crops = [
            Crop(part, 0, 0, np.where(drawn[part] == first, 0, drawn[part]))
            for part in ("nuclei", "somas")
        ]
        run.commit("B04", 1, 1, crops, author, "debris")


def is_uploaded(session: Session) -> bool:
    session.place = session.printed.split()[-1]
    return session.place.endswith("/imaging-service-data/scans/Small-1")


def is_done(session: Session) -> bool:
    session.run_id = session.printed.split()[0]
    table = session.type(f"imaging-service status {session.run_id} --url {session.url}")
    row = next(line for line in table.splitlines() if session.run_id[:12] in line)
    return [entry.strip() for entry in row.split("│")[2:6]] == ["Small-1", "done", "16", "0"]


def fitted(rows: list[dict[str, str]]) -> set[tuple[str, str, str]]:
    """Lines and compounds with an effect, and of how many batches it is."""
    return {
        (row["line"], row["compound"], row["n_batches"])
        for row in rows
        if row["phenotype"] == "live_density" and row["status"] == "ok"
    }


ROWS = (
    Row(
        "source .venv/bin/activate",
        lambda s: s.printed.strip() == str(Path(sys.prefix) / "bin" / "imaging-service"),
        {"source .venv/bin/activate": "command -v imaging-service"},
    ),
    Row(
        "imaging-service phantom --out plate",
        lambda s: (
            len(s.rows("plate/plate_map.csv")) == 132
            and len([*(s.folder / "plate" / "Phantom-1").rglob("*.tif")]) == 132 * 2 * 3
        ),
    ),
    Row(
        "imaging-service inspect SCAN --out look",
        lambda s: "16 wells × 2 field(s) × 3 channel(s)" in s.printed,
        {"SCAN": "Small-1"},
        prepare_plates,
        # Names of TIFFs say nothing of the channels' roles, so the protocol must.
        code=1,
    ),
    Row(
        "imaging-service plate-map check map.xlsx",
        lambda s: states(
            "health.healthy", s.printed, lines="SOD1-07-iso (genotype 'SOD1 corrected')"
        ),
        {"map.xlsx": "map-1.xlsx"},
    ),
    Row(
        "imaging-service analyze SCAN --plate-map map.xlsx --protocol protocol.toml --out results",
        lambda s: (
            [(r["well"], r["status"]) for r in s.rows("results/wells.csv")]
            == [(well, "done") for well in WELLS]
        ),
        {"SCAN": "Small-1", "map.xlsx": "map-1.xlsx"},
    ),
    Row(
        'imaging-service plate-map new --line SOD1-07="SOD1 p.A5V" --line SOD1-07-iso=corrected'
        ' --compound riluzole --doses "0.1,1,10,30 uM" --out maps',
        # Of each line eight vehicle wells, and two at each dose.
        lambda s: len(s.rows("maps/plate_map_1.csv")) == 2 * (8 + 4 * 2),
    ),
    Row(
        "imaging-service screen add als results-1 results-2 results-3 --lab north"
        " --lines lines.tsv --compounds compounds.tsv",
        lambda s: re.findall(r"^added (\S+)", s.printed, re.M) == ["Small-1", "Small-2", "Small-3"],
        before=analyse_two_more,
    ),
    Row(
        "imaging-service screen fit als",
        lambda s: (
            fitted(s.rows("als/responses.csv"))
            == {("SOD1-07", "riluzole", "3"), ("SOD1-07-iso", "riluzole", "3")}
        ),
    ),
    Row(
        "imaging-service screen power als --effect 0.5",
        lambda s: {r["phenotype"] for r in s.rows("planned/power.csv")} == {"live_density"},
        {"als": "planned"},
        fit_a_larger_screen,
    ),
    Row(
        "imaging-service screen summary als --site north --out north …",
        lambda s: re.search("^2 lines$", s.printed, re.M) is not None,
        {"…": "--key keys/site.key --consortium-key keys/consortium.key"},
        make_keys,
    ),
    Row(
        "imaging-service release new release results-1 results-2 --screen als",
        lambda s: (
            tomllib.loads((s.folder / "release" / "release.toml").read_text("utf-8"))["runs"]
            == [str(s.folder / f"results-{number}") for number in (1, 2)]
        ),
    ),
    Row(
        "imaging-service models list",
        lambda s: hashlib.sha256(motornet_path().read_bytes()).hexdigest() in s.printed,
    ),
    Row(
        "imaging-service bench segmentation --out bench",
        lambda s: (
            {
                row["engine"]
                for row in s.rows("bench/scores.csv")
                if row["measure"] == "AP@0.5" and float(row["value"]) > 0.5
            }
            == {"classical", "motornet"}
        ),
        {"--out bench": "--out bench --fields 1 --no-speed"},
    ),
    Row(
        "imaging-service serve",
        lambda s: s.printed.startswith(f"{s.url}/open?token="),
        {"serve": "serve --port {PORT}"},
    ),
    Row(
        "imaging-service upload SCAN",
        is_uploaded,
        {"SCAN": "Small-1 --url http://127.0.0.1:{PORT}"},
    ),
    Row(
        "imaging-service submit PLACE --plate-map map.csv --protocol p.toml --wait",
        is_done,
        {
            "PLACE": "{PLACE}",
            "map.csv": "map-1.csv",
            "p.toml": "protocol.toml",
            "--wait": "--wait --url http://127.0.0.1:{PORT}",
        },
    ),
    Row(
        'curl -H "Authorization: Bearer $(cat imaging-service-data/secrets/local.token)"'
        " 'http://127.0.0.1:8765/runs/RUN/responses?format=csv&line=SOD1-07'",
        lambda s: (
            {(row["line"], row["run_id"]) for row in rows_of(s.printed)} == {("SOD1-07", s.run_id)}
        ),
        {"8765": "{PORT}", "RUN": "{RUN}", "curl": "curl --fail --silent --show-error"},
    ),
    Row(
        "from imaging_service.client import Client\nwith Client() as service:\n"
        '    rows = service.responses("3f0c9d2a", phenotype="nc_log2_aggregate")\n',
        # One per line.
        lambda s: s.printed == "2\n",
        {"Client()": 'Client("http://127.0.0.1:{PORT}")', "3f0c9d2a": "{RUN}"},
    ),
    Row(
        "imaging-service review apply results",
        lambda s: states(
            "review.applied", s.printed, revision=2, fields="B04 field 1", lines="SOD1-07"
        ),
        before=review,
    ),
    Row(
        "imaging-service review agreement results copy",
        # Both took the same nucleus away.
        lambda s: (
            states("agreement.of_two", s.printed, what="nuclei", fields=1, judged=0)
            and re.search(r"mean Dice 1\.000", s.printed) is not None
        ),
    ),
    Row(
        "imaging-service review export results --out set",
        lambda s: (
            [(row["well"], row["field"]) for row in s.rows("set/manifest.csv")] == [("B04", "1")]
        ),
    ),
)

# Command ► the target of the Makefile that runs it in CI, and the line of that target which does.
TARGETS = {
    "make demo": ("demo", "imaging-service demo --out demo-output"),
    "make test": ("test", "pytest "),
    "pip install .": ("test-install", "--python build/light/bin/python ."),
    "pip install '.[service]'": ("test-install", '--python build/full/bin/python ".[service]"'),
    "pip install '.[cellpose]'": ("test-install", '--python build/full/bin/python ".[cellpose]"'),
    "pip install '.[s3]'": ("test-install", '--python build/full/bin/python ".[s3]"'),
    "pip install '.[review]'": ("test-install", '--python build/review/bin/python ".[review]"'),
    "pip install '.[review]' && napari": ("test-install", "build/review/bin/napari --info"),
}


@pytest.fixture(scope="module")
def text():
    return README.read_text(encoding="utf-8")


def test_every_command_of_the_readme_has_a_row_or_a_target(text):
    typed = commands(text)
    assert [c for c in typed if c not in TARGETS] == [row.line for row in ROWS]
    assert {c for c in typed if c in TARGETS} == set(TARGETS)


@pytest.mark.parametrize("command", TARGETS)
def test_what_sets_up_is_run_by_a_target_of_ci(command, repository):
    target, runs = TARGETS[command]
    ci = (repository / ".ci" / "run").read_text(encoding="utf-8")
    assert target in re.findall(r"^make (\S+)$", ci, re.M)
    told = subprocess.run(
        ["make", "--dry-run", "--always-make", target],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert runs in told


@pytest.mark.slow
def test_the_commands_of_the_readme_run_one_after_another(tmp_path):
    with ExitStack() as stack:
        session = Session(tmp_path, stack)
        for row in ROWS:
            row.run(session)


def as_told(row: dict) -> list[str]:
    """A row of responses as the README's table has it, without the truth."""
    doses = [format_dose(row[name]) for name in ("ec50_molar", "ec50_low", "ec50_high")]
    ec50, low, high = ("–" if text in ("", "0") else text for text in doses)
    interval = f"{low} … {high}" if (low, high) != ("–", "–") else "–"
    ends = f"{row['effect_low']:.3g} … {row['effect_high']:.3g}"
    effect = f"{row['effect']:.3g} ({ends}) {row['unit']}"
    return [*(row[k] for k in ("line", "compound", "phenotype", "status")), ec50, interval, effect]


@pytest.mark.slow
def test_the_table_of_the_readme_is_that_of_the_plate_that_the_demo_draws(tmp_path):
    for _ in write_phantom_plate(tmp_path, 1):
        pass
    (scan,) = (path for path in tmp_path.iterdir() if path.name == "Phantom-1")
    command = ["analyze", scan, "--plate-map", tmp_path / "plate_map.csv"]
    command += ["--protocol", tmp_path / "protocol.toml", "--out", tmp_path / "results"]
    subprocess.run([sys.executable, "-m", "imaging_service.cli", *map(str, command)], check=True)
    rows = pl.read_parquet(tmp_path / "results" / "responses.parquet").to_dicts()
    text = README.read_text(encoding="utf-8")
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if re.match(r"\| [\w-]+ \| (toxic|rescuer)-1 \|", line)
    ]
    assert len(table) == 11
    results = [as_told(row) for row in rows if row["effect_low"] is not None]
    assert [cells[:7] for cells in table if cells[:7] not in results] == []
