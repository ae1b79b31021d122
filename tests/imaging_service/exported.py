"""Exports of a service with finished runs: ordered over HTTP, written in this process."""

from __future__ import annotations

import io
import zipfile

from imaging_service.database.session import find_export
from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.jobs.exports import workflow

STEPS = ("begin_export", "write_one", "finish_export", "wait_export", "fail_export")
EXPORTS = f"/projects/{LOCAL_PROJECT}/exports"


class Exported:
    """The service, and what the worker would do."""

    def __init__(self, screened) -> None:
        self.screened = screened

    def order(self, **wanted):
        return self.screened.ask("POST", EXPORTS, json=wanted)

    def get(self, export: str, path: str = "", **more):
        return self.screened.get(f"{EXPORTS}/{export}{path}", **more)

    def row(self, export: str):
        with self.screened.session() as session:
            return find_export(session, LOCAL_PROJECT, export)

    def work(self, export: str) -> str:
        return workflow._write(export, self.row(export).attempt)

    def zip(self, export: str) -> zipfile.ZipFile:
        answer = self.get(export, "/file")
        assert answer.status_code == 200, answer.text
        return zipfile.ZipFile(io.BytesIO(answer.content))
