"""A service's database over finished runs of three plates with a known truth: no scan, no worker."""

from __future__ import annotations

import shutil

from sqlmodel import Session

from imaging_service.database.registry import merge_lines
from imaging_service.database.session import database_engine, find_screen
from imaging_service.database.tables import PlateRow, RunRow
from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.jobs.durable.workflows import Context
from imaging_service.jobs.screens import workflow
from tests.imaging_service.conftest import Here, Served
from tests.imaging_service.written_runs import REGISTRY

STEPS = ("begin_screen", "gather_plate", "fit_tables", "wait_screen", "fail_screen")


class Screened(Served):
    """Three runs that are done, and the laboratory's registry."""

    def __init__(self, settings, runs: list[str]) -> None:
        super().__init__(settings, runs[0], settings.run_root(runs[0]))
        self.runs = runs

    def session(self) -> Session:
        return Session(database_engine(self.settings.url))

    def order(self, runs, name="als", **more):
        """The answer to a screen's order."""
        body = {"name": name, "runs": [{"run": run} for run in runs], **more}
        return self.ask("POST", f"/projects/{LOCAL_PROJECT}/screens", json=body)

    def screen(self, screen: str, path: str = "", **more):
        return self.get(f"/projects/{LOCAL_PROJECT}/screens/{screen}{path}", **more)

    def work(self, screen: str) -> str:
        """Do what the worker would, in this process."""
        with self.session() as session:
            attempt = find_screen(session, LOCAL_PROJECT, screen).attempt
        return workflow._fit(screen, attempt)


def screened_service(settings, made, patch) -> Screened:
    """A service with finished runs of these folders; its worker's steps run in this process."""
    patch.setattr(Context, "settings", settings, raising=False)
    patch.setattr(Context, "cluster", Here(), raising=False)
    # Its scripts take seconds to write; tests/imaging_service/screens/test_folder.py reads them.
    patch.setattr("imaging_service.screens.folder.render_screen", lambda content: content.title)
    for name in STEPS:
        patch.setattr(workflow, name, getattr(workflow, name).__wrapped__)
    runs = [f"{number + 1:064x}" for number in range(len(made))]
    with Session(database_engine(settings.url)) as session:
        for run, path in zip(runs, made, strict=True):
            session.add(
                PlateRow(
                    id=f"plate{run}",
                    name="P",
                    rows=16,
                    columns=24,
                    channels="[]",
                    pixel_size_um=0.3,
                )
            )
            session.flush()
            session.add(
                RunRow(
                    id=run,
                    plate_id=f"plate{run}",
                    protocol_name="x",
                    engine="classical",
                    state="done",
                    n_wells=1,
                    n_skipped=0,
                )
            )
            shutil.copytree(path, settings.run_root(run))
        session.commit()
        merge_lines(session, REGISTRY, "lines.tsv")
    return Screened(settings, runs)
