"""The Python client of a running service.

Light: httpx and the schemas. To review a run: `remote_run`, `local_run`.
"""

from __future__ import annotations

import base64
import hashlib
import tomllib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from imaging_service.accounts import Caller
from imaging_service.errors import ServiceError
from imaging_service.files import write_through
from imaging_service.incoming.s3 import place
from imaging_service.key_file import key_for, may_carry, service_url
from imaging_service.orders import ExportState, NewExport, NewScreen, ScreenState
from imaging_service.schemas import (
    NewPlateMap,
    OfferedRelease,
    Plate,
    PlateMapVersion,
    Priority,
    RegistryChange,
    Run,
    RunEvent,
    SentSummary,
    Submission,
    WellState,
)
from imaging_service.toml_text import parse_toml

__all__ = ["Client", "ServiceRefused"]


RegistryKind = Literal["lines", "batches", "compounds"]


class ServiceRefused(ServiceError):
    """The service answered with a problem, or did not answer; the message is the detail.

    Examples
    --------
    >>> from imaging_service.client import Client, ServiceRefused
    >>> with Client("http://127.0.0.1:9", read_seconds=2) as client:
    ...     try:
    ...         client.runs()
    ...     except ServiceRefused as error:
    ...         print(error.status, error)
    None no answer from http://127.0.0.1:9 (...); is `imaging-service serve` running there? ...
    """

    code = "service_refused"

    def __init__(self, detail: str, status: int | None = None, problem: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.problem = problem


class Client:
    """A running service.

    Use it as a context manager. Every method raises ServiceRefused with the service's own
    explanation. `read_seconds` is how long an answer may take; there is no limit if not given,
    because a submission is answered once all its files are hashed. The address is that of
    `IMAGING_SERVICE_URL`, else of a service on this machine, if not given. The key comes from
    `IMAGING_SERVICE_KEY`, the file that `IMAGING_SERVICE_KEY_FILE` names, or what
    `imaging-service login` kept; a service without keys on this machine has left its own. A key is
    sent over https:// or to this machine only. `project` is needed where the key can submit or
    upload to several.

    Examples
    --------
    >>> from imaging_service import Client
    >>> with Client("http://127.0.0.1:9/", read_seconds=2) as client:
    ...     client.url
    'http://127.0.0.1:9'
    """

    def __init__(
        self,
        url: str = "",
        read_seconds: float | None = None,
        *,
        key: str | None = None,
        project: str = "",
    ) -> None:
        url = url or service_url()
        key = key_for(url) if key is None else key
        if key and not may_carry(url):
            raise ServiceRefused(
                f"a key is not sent to {url}: without TLS everyone on the way could read it; use"
                " the service's https:// address"
            )
        # Not in `__repr__`, and not in what httpx logs.
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=url,
            headers=self.headers,
            params={"project": project} if project else {},
            timeout=httpx.Timeout(
                10.0, read=read_seconds, connect=min(10.0, (read_seconds or 100) / 10)
            ),
        )
        self.url, self.project = url.rstrip("/"), project

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request; raises ServiceRefused with the service's explanation."""
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            advice = (
                "is `imaging-service serve` running there? Another address is given with --url, or"
                " in IMAGING_SERVICE_URL"
            )
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                advice = (
                    "with a certificate of your own authority set SSL_CERT_FILE to the authority's"
                    " certificate, and use the name that the certificate is for"
                )
            raise ServiceRefused(f"no answer from {self.url} ({error}); {advice}") from error
        if answer.is_error:
            raise _refusal(answer)
        return answer

    def download(self, path: str, target: Path, **more: Any) -> None:
        """Write an answer to a file, whole; it is never held in memory at once."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._http.stream("GET", path, **more) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                write_through(target, answer.iter_bytes())
        except httpx.HTTPError as error:
            raise ServiceRefused(f"no answer from {self.url} ({error}); ask again") from error

    def whoami(self) -> Caller:
        """Who the service takes this client for, with the role in each project."""
        return Caller.model_validate(self.ask("GET", "/session").json())

    def audit(self, after: int = 0, fmt: str = "jsonl") -> Iterator[str]:
        """The audit log as lines of "jsonl" or "csv", from the entry after `after` on."""
        yield from self.ask("GET", "/audit", params={"after": after, "format": fmt}).iter_text()

    def submit(
        self,
        scan: str | PathLike[str],
        plate_map: str | PathLike[str],
        protocol: str | PathLike[str],
        *,
        engine: str | None = None,
        device: str = "auto",
        plate: str = "",
        priority: str = "normal",
    ) -> Run:
        """Submit a plate; the service must reach the scan by the same path.

        `plate` names the plate in a map of several, `priority` is high, normal or low.
        """
        scan, plate_map, protocol = place(scan), Path(plate_map), Path(protocol)
        try:
            content = parse_toml(protocol.read_text(encoding="utf-8"))
            sheet = plate_map.read_bytes()
        except OSError as error:
            raise ServiceRefused(f"{error.filename} cannot be read: {error.strerror}") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ServiceRefused(f"protocol {protocol} is not TOML: {error}") from error
        body = Submission(
            scan=str(scan.resolve()),
            plate_map_name=plate_map.name,
            plate_map_base64=base64.b64encode(sheet).decode(),
            protocol=content,
            engine=engine,
            device=device,
            plate=plate,
            priority=priority,
        )
        return Run.model_validate(
            self.ask("POST", "/runs", json=body.model_dump(mode="json")).json()
        )

    def runs(self) -> list[Run]:
        """The newest runs."""
        return [Run.model_validate(r) for r in self.ask("GET", "/runs").json()]

    def run(self, run_id: str) -> Run:
        """One run with its progress."""
        return Run.model_validate(self.ask("GET", f"/runs/{run_id}").json())

    def say(self, run_id: str, verb: str, body: dict[str, Any] | None = None) -> Run:
        """Cancel, resume or retry a run: `verb` is one of the three words.

        A retry may name wells: {"wells": ["B03"]}.
        """
        more = {} if body is None else {"json": body}
        return Run.model_validate(self.ask("POST", f"/runs/{run_id}/{verb}", **more).json())

    def prefer(self, run_id: str, priority: str) -> Run:
        """Change the priority of a run that is queued: high, normal or low."""
        body = Priority.model_validate({"priority": priority}).model_dump()
        return Run.model_validate(self.ask("PUT", f"/runs/{run_id}/priority", json=body).json())

    def delete(self, run_id: str) -> None:
        """Remove a run that has ended."""
        self.ask("DELETE", f"/runs/{run_id}")

    def plates(self) -> list[Plate]:
        """All plates."""
        return [Plate.model_validate(p) for p in self.ask("GET", "/plates").json()]

    def plate_maps(self, plate_id: str) -> list[PlateMapVersion]:
        """Versions of a plate's map, the oldest first, each with its runs."""
        answer = self.ask("GET", f"/plates/{plate_id}/maps").json()
        return [PlateMapVersion.model_validate(version) for version in answer]

    def correct_map(
        self, plate_id: str, plate_map: str | PathLike[str], plate: str = ""
    ) -> PlateMapVersion:
        """Give a plate its next map; the runs that follow it are in the answer.

        `plate` names the plate in a map of several.
        """
        path = Path(plate_map)
        try:
            sheet = path.read_bytes()
        except OSError as error:
            raise ServiceRefused(f"{path} cannot be read: {error}") from error
        body = NewPlateMap(
            plate_map_name=path.name,
            plate_map_base64=base64.b64encode(sheet).decode(),
            plate=plate,
        )
        answer = self.ask("POST", f"/plates/{plate_id}/maps", json=body.model_dump())
        return PlateMapVersion.model_validate(answer.json())

    def events(self, run_id: str = "") -> Iterator[RunEvent]:
        """Changes of runs as they happen, of one run or of all; first the runs as they are.

        Ends when the service ends the connection, after ten minutes at most.
        """
        for data in self._told("/events", {"run": run_id} if run_id else {}):
            yield RunEvent.model_validate_json(data)

    def _told(self, path: str, params: dict[str, str]) -> Iterator[str]:
        """The data of server-sent events."""
        try:
            with self._http.stream("GET", path, params=params) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        yield line.removeprefix("data: ")
        except httpx.HTTPError as error:
            raise ServiceRefused(f"the events of {self.url} ended ({error})") from error

    def progress(self, run_id: str) -> list[WellState]:
        """How each well ended, so far."""
        return [
            WellState.model_validate(w) for w in self.ask("GET", f"/runs/{run_id}/progress").json()
        ]

    def wells(self, run_id: str, **filters: str) -> list[dict[str, Any]]:
        """The well table as a list of rows; filters: line, compound, status.

        labels="engine" gives the table before any review.
        """
        rows: list[dict[str, Any]] = self.ask("GET", f"/runs/{run_id}/wells", params=filters).json()
        return rows

    def responses(self, run_id: str, **filters: str) -> list[dict[str, Any]]:
        """The response table as a list of rows; filters: line, compound, phenotype, status."""
        rows: list[dict[str, Any]] = self.ask(
            "GET", f"/runs/{run_id}/responses", params=filters
        ).json()
        return rows

    def hazards(self, run_id: str, **filters: str) -> list[dict[str, Any]]:
        """Survival over time as a list of rows; filters: line, compound, status."""
        rows: list[dict[str, Any]] = self.ask(
            "GET", f"/runs/{run_id}/hazards", params=filters
        ).json()
        return rows

    def checks(self, run_id: str) -> list[dict[str, Any]]:
        """Quality control of the plate as a list of rows."""
        rows: list[dict[str, Any]] = self.ask("GET", f"/runs/{run_id}/checks").json()
        return rows

    def order_screen(self, wanted: NewScreen) -> ScreenState:
        """Order a screen of runs of the project, to be built and fitted by the service.

        The same runs, settings and registries are the same screen; one that failed is tried again.
        """
        body = wanted.model_dump(mode="json")
        return ScreenState.model_validate(self.ask("POST", self.screens_path(), json=body).json())

    def screens(self) -> list[ScreenState]:
        """Screens of the project, the newest first."""
        return [ScreenState.model_validate(s) for s in self.ask("GET", self.screens_path()).json()]

    def screen(self, screen: str) -> ScreenState:
        """One screen with its progress."""
        return ScreenState.model_validate(self.ask("GET", self.screens_path(screen)).json())

    def screen_events(self, screen: str) -> Iterator[ScreenState]:
        """A screen as it is, and then whenever it changes, until it is done or has failed."""
        for data in self._told(f"{self.screens_path(screen)}/events", {}):
            yield ScreenState.model_validate_json(data)

    def delete_screen(self, screen: str) -> None:
        """Remove a screen that has ended; its runs stay."""
        self.ask("DELETE", self.screens_path(screen))

    def screen_table_bytes(self, screen: str, table: str, fmt: str, **params: Any) -> bytes:
        """A table of a screen as "csv", "parquet" or "arrow" bytes; `params` are those of a run's.

        The whole table for Parquet and Arrow, its first page for CSV.
        """
        path = f"{self.screens_path(screen)}/tables/{table}"
        return self.ask("GET", path, params={"format": fmt, **params}).content

    def screen_report(self, screen: str) -> bytes:
        """A screen's report, one HTML file."""
        return self.ask("GET", f"{self.screens_path(screen)}/report").content

    def screens_path(self, screen: str = "") -> str:
        """The address of the project's screens, or of one of them."""
        return self._of_project("screens", screen)

    def _of_project(self, noun: str, identity: str = "") -> str:
        if not self.project:
            projects = [project.id for project in self.whoami().projects]
            if len(projects) != 1:
                raise ServiceRefused(
                    f"name the project of the {noun}, as in Client(url, project=…): "
                    + (", ".join(projects) or "this key can be used in none")
                )
            self.project = projects[0]
        return f"/projects/{self.project}/{noun}" + (f"/{identity}" if identity else "")

    def order_export(self, wanted: NewExport) -> ExportState:
        """Order tables of a run or a screen of the project as one zip.

        The same tables in the same form are the same export; one that failed is tried again.
        """
        body = wanted.model_dump(mode="json")
        answer = self.ask("POST", self._of_project("exports"), json=body)
        return ExportState.model_validate(answer.json())

    def exports(self) -> list[ExportState]:
        """Exports of the project, the newest first."""
        answer = self.ask("GET", self._of_project("exports")).json()
        return [ExportState.model_validate(export) for export in answer]

    def export(self, export: str) -> ExportState:
        """One export with its progress."""
        return ExportState.model_validate(
            self.ask("GET", self._of_project("exports", export)).json()
        )

    def export_events(self, export: str) -> Iterator[ExportState]:
        """An export as it is, and then whenever it changes, until it is done or has failed."""
        for data in self._told(f"{self._of_project('exports', export)}/events", {}):
            yield ExportState.model_validate_json(data)

    def download_export(self, export: str, target: str | PathLike[str]) -> None:
        """Write the zip of an export that is done to a file.

        Raises ServiceRefused also where what arrived is not what the service wrote.
        """
        state, path = self.export(export), Path(target)
        self.download(f"{self._of_project('exports', export)}/file", path)
        _check(path, state.sha256, f"export {export}")

    def releases(self) -> list[OfferedRelease]:
        """Releases that the service hands over and that the key may know of."""
        return [OfferedRelease.model_validate(r) for r in self.ask("GET", "/releases").json()]

    def download_release(self, target: str | PathLike[str]) -> OfferedRelease:
        """Write the release that this client's key opens to a file, a zip.

        Raises ServiceRefused also where what arrived is not what the service has.
        """
        offered, path = self.releases(), Path(target)
        if len(offered) != 1:
            raise ServiceRefused(
                f"{len(offered)} releases are known to this key; a bundle needs the key of a"
                " decided request"
            )
        self.download(f"/releases/{offered[0].id}/bundle", path)
        _check(path, offered[0].sha256, f"release {offered[0].name}")
        return offered[0]

    def send_summary(self, content: bytes) -> SentSummary:
        """Send a site's packed summary to the project; see `imaging_service.federation.parcel`."""
        answer = self.ask(
            "POST",
            self._of_project("summaries"),
            content=content,
            headers={"Content-Type": "application/zip"},
        )
        return SentSummary.model_validate(answer.json())

    def summaries(self) -> list[SentSummary]:
        """Summaries that sites sent to the project."""
        answer = self.ask("GET", self._of_project("summaries")).json()
        return [SentSummary.model_validate(sent) for sent in answer]

    def summary_bytes(self, site: str) -> bytes:
        """A site's packed summary, for who runs the hub."""
        return self.ask("GET", self._of_project("summaries", site)).content

    def delete_export(self, export: str) -> None:
        """Remove an export that has ended; run and screen stay."""
        self.ask("DELETE", self._of_project("exports", export))

    def registry(self, kind: RegistryKind) -> str:
        """The laboratory's lines, batches or compounds as TSV; codes for administrators only."""
        return self.ask("GET", f"/{kind}", params={"format": "tsv"}).text

    def put_registry(self, kind: RegistryKind, text: str) -> RegistryChange:
        """Add or replace lines, batches or compounds from TSV text."""
        answer = self.ask(
            "PUT",
            f"/{kind}",
            content=text.encode(),
            headers={"Content-Type": "text/tab-separated-values"},
        )
        return RegistryChange.model_validate(answer.json())

    def table_bytes(self, run_id: str, kind: str, fmt: str) -> bytes:
        """A table ("wells", "responses", "hazards" or "checks") as "csv" or "parquet" bytes."""
        return self.ask("GET", f"/runs/{run_id}/{kind}", params={"format": fmt}).content


def _check(path: Path, sha256: str | None, what: str) -> None:
    """Raise ServiceRefused, and remove the file, where it is not what the service has."""
    with path.open("rb") as stream:
        arrived = hashlib.file_digest(stream, "sha256").hexdigest()
    if arrived != sha256:
        path.unlink()
        raise ServiceRefused(f"{what} arrived damaged; download it again")


def _refusal(answer: httpx.Response) -> ServiceRefused:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    return ServiceRefused(
        str(problem.get("detail") or answer.text[:500]),
        answer.status_code,
        str(problem.get("type", "")),
    )
