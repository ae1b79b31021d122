"""Random faults over real runs, for as long as is asked: nothing lost, doubled or stuck.

    python -m tests.faults.random_faults --minutes 30 --seed 17 --database sqlite --out FOLDER

Two runs go on at a time, and each is deleted once its rows and tables have been compared with those
of the same code undisturbed. Faults come one after another, some of them within another; then the
machine is left alone until the last run has ended. Needs root, which mounts the data folder's disk.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from imaging_service.client import Client
from imaging_service.errors import ServiceError
from tests.faults.random_plates import WELLS, Work, drawn_work
from tests.faults.random_site import Site, kill, tree

Mend = Callable[[], None]
AT_A_TIME = 2
# Without faults a run takes half a minute, and a lost worker's wells wait for two minutes.
STUCK_S, CALM_S = 1200.0, 300.0
# Between two faults.
LONGEST_S = 120.0


@dataclass
class Going:
    """A run that was submitted and has not been looked at yet."""

    work: Work
    run: str
    since: float
    cancelled: bool = False


@dataclass
class Record:
    """What happened; `counts` has faults by kind, answers by status, and what went wrong."""

    out: Path
    began: float = field(default_factory=time.monotonic)
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    wells: int = 0
    measured: int = 0

    def note(self, event: str, **more: object) -> None:
        line = {"s": round(time.monotonic() - self.began, 1), "event": event, **more}
        with self.out.open("a") as log:
            log.write(json.dumps(line, default=str) + "\n")

    def lines(self) -> list[str]:
        wrong = {name: self.wrong[name] for name in ("lost", "doubled", "stuck", "other tables")}
        return [
            f"faults: {sum(self.faults.values())}: "
            + ", ".join(f"{n} × {name}" for name, n in sorted(self.faults.items())),
            f"runs: {self.runs} of {len(WELLS)} wells: {self.wells} wells ended,"
            f" {self.measured - self.wells} of them measured more than once",
            ", ".join(f"{n} {name}" for name, n in wrong.items()),
            "answers: " + ", ".join(f"{n} × {s}" for s, n in sorted(self.answers.items())),
        ]


class Disturbed:
    """Runs on one side, faults on the other."""

    def __init__(self, site: Site, work: list[Work], seed: int, record: Record) -> None:
        self.site, self.work, self.record = site, work, record
        self.random = random.Random(seed)
        self.going: list[Going] = []
        self.mends: list[tuple[float, str, Mend]] = []
        self._submitting: threading.Thread | None = None
        self._outcomes: set[tuple[str, str, int]] = set()
        self._leaving: list[Work] = []
        self._http = httpx.Client(base_url=site.service.url, headers=site.headers, timeout=60)

    # Faults that pass: each returns what mends it.

    def scan_away(self) -> Mend:
        away = self.site.scans.with_name("away")
        self.site.scans.rename(away)
        return lambda: _rename(away, self.site.scans)

    def files_away(self) -> Mend:
        scan = self.random.choice(self.work).scan
        wells = self.random.sample(WELLS, 3)
        hidden = self.site.folder / "hidden"
        hidden.mkdir(exist_ok=True)
        moved = [path for well in wells for path in scan.glob(f"p_{well}_*.tif")]
        for path in moved:
            path.rename(hidden / path.name)

        def mend() -> None:
            for path in moved:
                (hidden / path.name).rename(path)

        return mend

    def disk_full(self) -> Mend:
        self.site.fill_disk()
        return self.site.empty_disk

    def database_away(self) -> Mend:
        self.site.take_database()
        return self.site.give_database

    def server_killed(self) -> Mend:
        self.site.take_server()
        return self.site.give_server

    def machine_killed(self) -> Mend:
        self.site.take_machine()
        return self.site.give_server

    def worker_frozen(self) -> Mend | None:
        workers = self.site.processes("worker")
        if not workers:
            return None
        frozen = tree(self.random.choice(workers).pid)
        kill(list(reversed(frozen)), signal.SIGSTOP)
        return lambda: kill(frozen, signal.SIGCONT)

    # Faults of an instant.

    def one_killed(self, of: str) -> bool:
        there = self.site.processes(of)
        if there:
            kill([self.random.choice(there)])
        return bool(there)

    def run_cancelled(self) -> bool:
        """By its user, who resumes it a little later."""
        candidates = [g for g in self.going if not g.cancelled]
        if not candidates:
            return False
        one = self.random.choice(candidates)
        answer = self._ask("POST", f"/runs/{one.run}/cancel")
        if answer is None or answer.status_code != 202:
            return False
        one.cancelled = True
        later = time.monotonic() + self.random.uniform(1, 10)
        self.mends.append((later, "resumed", lambda: self._resume(one)))
        return True

    def _resume(self, one: Going) -> None:
        answer = self._ask("POST", f"/runs/{one.run}/resume")
        if answer is not None and answer.status_code in (202, 409):
            one.cancelled = False
        else:
            later = time.monotonic() + 2
            self.mends.append((later, "resumed", lambda: self._resume(one)))

    def begin_one(self) -> None:
        """One fault; those of an instant also come while another one lasts."""
        passing = {
            "scan share away": (self.scan_away, (2, 30)),
            "files of three wells away": (self.files_away, (2, 30)),
            "disk full": (self.disk_full, (3, 25)),
            "database away": (self.database_away, (2, 40)),
            "server killed": (self.server_killed, (0, 5)),
            "machine killed": (self.machine_killed, (0, 5)),
            "worker frozen": (self.worker_frozen, (5, 90)),
        }
        instant = {
            "worker killed": lambda: self.one_killed("worker"),
            "API process killed": lambda: self.one_killed("API"),
            "supervisor killed": lambda: self.one_killed("supervisor"),
            "compute process killed": lambda: self.one_killed("compute"),
            "run cancelled and resumed": self.run_cancelled,
        }
        lasting = {name for _, name, _ in self.mends} - {"resumed"}
        names = list(instant) if lasting else [*passing, *instant]
        if self.submitting:
            # A scan without some of its files would be submitted as another plate.
            names = [n for n in names if n not in ("scan share away", "files of three wells away")]
        name = self.random.choice(names)
        seconds = 0.0
        if name in instant:
            happened = instant[name]()
        else:
            begin, (shortest, longest) = passing[name]
            mend = begin()
            happened = mend is not None
            if mend is not None:
                seconds = self.random.uniform(shortest, longest)
                self.mends.append((time.monotonic() + seconds, name, mend))
        if happened:
            self.record.faults[name] += 1
            self.record.note("fault", kind=name, for_s=round(seconds, 1))

    def mend_due(self) -> None:
        due = [m for m in self.mends if m[0] <= time.monotonic()]
        self.mends = [m for m in self.mends if m not in due]
        for _, name, mend in due:
            mend()
            self.record.note("mended", kind=name)

    # Runs.

    @property
    def submitting(self) -> bool:
        return self._submitting is not None and self._submitting.is_alive()

    @property
    def whole(self) -> bool:
        """Whether every file of the scans is where it belongs."""
        away = ("scan share away", "files of three wells away")
        return not any(name in away for _, name, _ in self.mends)

    def submit_one(self) -> None:
        # The same plate with the same protocol is the same run, also while it is being deleted.
        busy = [g.work for g in self.going] + self._leaving
        free = [w for w in self.work if w not in busy]
        if not free:
            return
        chosen = self.random.choice(free)
        self._submitting = threading.Thread(target=self._submit, args=(chosen,), daemon=True)
        self._submitting.start()

    def _submit(self, work: Work) -> None:
        since, last = time.monotonic(), ""
        while time.monotonic() - since < STUCK_S:
            try:
                with Client(self.site.service.url) as client:
                    run = client.submit(work.scan, work.plate_map, work.protocol, device="cpu")
            except (ServiceError, httpx.HTTPError, OSError) as error:
                if str(error) != last:
                    last = str(error)
                    self.record.note("not submitted", work=work.name, error=last)
                time.sleep(1)
                continue
            self.going.append(Going(work, run.id, time.monotonic()))
            self.record.note("submitted", work=work.name, run=run.id[:12])
            return
        self._wrong("stuck", work=work.name, what="not submitted")

    def look(self) -> None:
        """Ask for each run once, and judge those that have ended."""
        for one in list(self.going):
            self._count_measured(one)
            answer = self._ask("GET", f"/runs/{one.run}")
            if answer is not None and answer.status_code == 404:
                self._wrong("lost", run=one.run, what="not there any more", work=one.work.name)
                self._forget(one)
                continue
            if answer is None or answer.status_code != 200:
                continue
            state = answer.json()
            if state["state"] == "done":
                self._judge(one)
            elif state["state"] == "failed":
                self._wrong("lost", run=one.run, what=state["reason"], work=one.work.name)
                self._forget(one)
            elif time.monotonic() - one.since > STUCK_S + (CALM_S if self.mends else 0):
                self._wrong("stuck", run=one.run, what=state, work=one.work.name)
                self._forget(one)

    def _judge(self, one: Going) -> None:
        """Rows and tables of a run that is done, then its end; later if something is away now."""
        try:
            rows = self.site.rows_of(one.run)
            ours = {
                name: (self.site.data / "runs" / one.run / f"{name}.parquet").read_bytes()
                for name in one.work.tables
            }
        except Exception as error:  # noqa: BLE001 - the database or the disk is away just now
            self.record.note("not judged yet", run=one.run[:12], error=error)
            return
        served = [self._ask("GET", f"/runs/{one.run}/{name}") for name in ("wells", "responses")]
        if any(answer is None or answer.status_code != 200 for answer in served):
            return
        self._count_measured(one)
        for well in WELLS:
            of_well = [(status, n) for name, status, n in rows if name == well]
            if of_well and sum(n for _, n in of_well) > 1:
                self._wrong("doubled", run=one.run, well=well, what=of_well)
            elif of_well != [("done", 1)]:
                self._wrong("lost", run=one.run, well=well, what=of_well)
        for name, content in one.work.tables.items():
            if ours[name] != content:
                kept = self.record.out.with_name(f"{one.run[:12]}-{name}.parquet")
                kept.write_bytes(ours[name])
                self._wrong("other tables", run=one.run, what=name, work=one.work.name)
        for name, answer in zip(("wells", "responses"), served, strict=True):
            if answer.json() != one.work.rows(name):
                self._wrong("other tables", run=one.run, what=f"served {name}", work=one.work.name)
        self.record.runs += 1
        self.record.wells += len(rows)
        self.record.note("ended", run=one.run[:12], took_s=round(time.monotonic() - one.since, 1))
        self._forget(one)

    def _forget(self, one: Going) -> None:
        self.going.remove(one)
        mine = {o for o in self._outcomes if o[0] == one.run}
        self.record.measured += len(mine)
        self._outcomes -= mine
        self._leaving.append(one.work)
        threading.Thread(target=self._delete, args=(one,), daemon=True).start()

    def _delete(self, one: Going) -> None:
        run, since = one.run, time.monotonic()
        while time.monotonic() - since < STUCK_S:
            with suppress(httpx.HTTPError):
                answer = httpx.delete(
                    f"{self.site.service.url}/runs/{run}", headers=self.site.headers, timeout=60
                )
                if answer.status_code in (204, 404):
                    self._leaving.remove(one.work)
                    return
                if answer.status_code == 409:
                    # A run that failed or is stuck.
                    self._ask("POST", f"/runs/{run}/cancel")
            time.sleep(1)

    def _count_measured(self, one: Going) -> None:
        folder = self.site.data / "runs" / one.run / "work" / "outcomes"
        with suppress(OSError):
            for path in folder.glob("*.json"):
                self._outcomes.add((one.run, path.stem, path.stat().st_mtime_ns))

    def _ask(self, method: str, path: str) -> httpx.Response | None:
        try:
            answer = self._http.request(method, path)
        except httpx.HTTPError:
            self.record.answers["no answer"] += 1
            return None
        self.record.answers[str(answer.status_code)] += 1
        if answer.status_code in (500, 501, 502):
            self.record.note("answer", status=answer.status_code, text=answer.text[:500])
        return answer

    def _wrong(self, kind: str, **more: object) -> None:
        self.record.wrong[kind] += 1
        self.record.note(f"WRONG: {kind}", **more)
        print(f"WRONG: {kind} {more}", flush=True)

    def _ended(self) -> int:
        """How many wells have been measured until now."""
        return self.record.measured + len(self._outcomes)

    def _fault_is_due(self, now: float) -> bool:
        """Whether some wells have ended since the last one, or too long none has.

        On a slow machine a process takes a minute to start, and faults by the clock alone would
        disturb nothing but the start.
        """
        since, ended = self._last
        seconds, wells = self._next
        return now - since > LONGEST_S or (now - since > seconds and self._ended() - ended >= wells)

    def go(self, seconds: float) -> None:
        began = time.monotonic()
        self._last, self._next = (began, 0), (5.0, 1)
        while True:
            now = time.monotonic()
            calm = now - began > seconds
            self.mend_due()
            self.site.tend()
            if not calm and not self.submitting and self.whole and len(self.going) < AT_A_TIME:
                self.submit_one()
            if not calm and self._fault_is_due(now):
                self.begin_one()
                self._last = now, self._ended()
                self._next = self.random.uniform(5, 15), self.random.randint(0, 6)
            self.look()
            if calm and not self.going and not self.submitting and not self.mends:
                return
            time.sleep(1.0)


def _rename(source: Path, target: Path) -> None:
    source.rename(target)


def disturb(folder: Path, database: str, seconds: float, seed: int, out: Path) -> Record:
    """Faults for so long, and then peace; returns what happened."""
    site = Site(folder, database)
    site.scans.mkdir(parents=True)
    record = Record(out)
    work = drawn_work(folder, site.scans)
    try:
        site.open()
        record.began = time.monotonic()
        record.note("begin", seed=seed, database=database, seconds=seconds, folder=folder)
        Disturbed(site, work, seed, record).go(seconds)
    finally:
        site.close()
    record.note("end", lines=record.lines(), restarts=site.restarts)
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--out", type=Path, default=Path("faults-output"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="random-faults-"))
    log = given.out / f"{given.database}-{given.seed}.jsonl"
    record = disturb(folder, given.database, given.minutes * 60, given.seed, log)
    print("\n".join(record.lines()))
    if record.wrong:
        print(f"logs of the service: {folder}")
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
