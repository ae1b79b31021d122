"""The Python client: a running service, or a run's folder on disk. Light: httpx and the schemas; zarr only to read pixels."""

from __future__ import annotations

import base64
import csv
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from imaging_service.errors import NotFound, ServiceError, StoreError
from imaging_service.review_log import ReviewLog
from imaging_service.schemas import Plate, RegistryChange, Run, Submission, WellState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ServiceRefused(ServiceError):
    """The service answered with a problem, or not at all; the message is its detail."""

    code = "service_refused"

    def __init__(self, detail: str, status: int | None = None, problem: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.problem = problem


class Client:
    """A running service.

    Use as a context manager. Every method raises ServiceRefused with the service's own explanation.
    """

    def __init__(self, url: str = "http://127.0.0.1:8765") -> None:
        # No time limit on reading: a submission is answered once all its files are hashed.
        self._http = httpx.Client(base_url=url, timeout=httpx.Timeout(10.0, read=None))
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise ServiceRefused(f"no answer from {self.url} ({error}); is `imaging-service serve` running there?") from error
        if answer.is_error:
            try:
                problem = answer.json()
            except ValueError:
                problem = {}
            raise ServiceRefused(str(problem.get("detail") or answer.text[:500]), answer.status_code, str(problem.get("type", "")))
        return answer

    def submit(
        self, scan: Path, plate_map: Path, protocol: Path, *, engine: str | None = None, device: str = "auto", plate: str = ""
    ) -> Run:
        """Submit a plate whose scan the service can reach by the same path; `plate` names it in a map of several."""
        try:
            content = tomllib.loads(protocol.read_text(encoding="utf-8"))
            sheet = plate_map.read_bytes()
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ServiceRefused(f"{protocol} or {plate_map} cannot be read: {error}") from error
        body = Submission(
            scan=str(scan.resolve()), plate_map_name=plate_map.name, plate_map_base64=base64.b64encode(sheet).decode(), protocol=content,
            engine=engine, device=device, plate=plate,
        )  # fmt: skip
        return Run.model_validate(self._ask("POST", "/runs", json=body.model_dump(mode="json")).json())

    def runs(self) -> list[Run]:
        """The newest runs."""
        return [Run.model_validate(r) for r in self._ask("GET", "/runs").json()]

    def run(self, run_id: str) -> Run:
        """One run with its progress."""
        return Run.model_validate(self._ask("GET", f"/runs/{run_id}").json())

    def plates(self) -> list[Plate]:
        """All plates."""
        return [Plate.model_validate(p) for p in self._ask("GET", "/plates").json()]

    def progress(self, run_id: str) -> list[WellState]:
        """How each well ended, so far."""
        return [WellState.model_validate(w) for w in self._ask("GET", f"/runs/{run_id}/progress").json()]

    def wells(self, run_id: str) -> list[dict[str, Any]]:
        """The well table as a list of rows."""
        rows: list[dict[str, Any]] = self._ask("GET", f"/runs/{run_id}/wells").json()
        return rows

    def responses(self, run_id: str, **filters: str) -> list[dict[str, Any]]:
        """The response table as a list of rows; filters: line, compound, phenotype, status."""
        rows: list[dict[str, Any]] = self._ask("GET", f"/runs/{run_id}/responses", params=filters).json()
        return rows

    def hazards(self, run_id: str, **filters: str) -> list[dict[str, Any]]:
        """Survival over time as a list of rows; filters: line, compound, status."""
        rows: list[dict[str, Any]] = self._ask("GET", f"/runs/{run_id}/hazards", params=filters).json()
        return rows

    def checks(self, run_id: str) -> list[dict[str, Any]]:
        """Quality control of the plate as a list of rows."""
        rows: list[dict[str, Any]] = self._ask("GET", f"/runs/{run_id}/checks").json()
        return rows

    def registry(self, kind: Literal["lines", "batches"]) -> str:
        """The registry's lines or batches as TSV."""
        return self._ask("GET", f"/{kind}", params={"format": "tsv"}).text

    def put_registry(self, kind: Literal["lines", "batches"], text: str) -> RegistryChange:
        """Add or replace lines or batches from TSV text."""
        answer = self._ask("PUT", f"/{kind}", content=text.encode(), headers={"Content-Type": "text/tab-separated-values"})
        return RegistryChange.model_validate(answer.json())

    def table_bytes(self, run_id: str, kind: str, fmt: str) -> bytes:
        """A table ("wells", "responses", "hazards" or "checks") as "csv" or "parquet" bytes."""
        return self._ask("GET", f"/runs/{run_id}/{kind}", params={"format": fmt}).content


@dataclass(frozen=True)
class FieldImage:
    """Pixels (C, Y, X) and labels (Y, X) of one field."""

    pixels: NDArray[np.generic]
    channels: tuple[str, ...]
    roles: tuple[str | None, ...]
    labels: dict[str, NDArray[np.int32]]
    pixel_size_um: float
    label_version: int = 1


def _plane(array: Any, frame: int) -> NDArray[np.int32]:
    import numpy as np

    return np.asarray(array[...] if array.ndim == 2 else array[frame - 1], np.int32)


class RunFolder:
    """The folder that `imaging-service analyze` wrote. Raises NotFound if it is not one."""

    def __init__(self, root: Path) -> None:
        record = root / "run.json"
        if not record.is_file():
            raise NotFound(f"{root} has no run.json; give the --out folder of a finished `imaging-service analyze`")
        self.root = root
        self.review = ReviewLog(root)
        self.record: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        plate = Path(self.record["plate"])
        # The folder may have been moved or mailed since: the plate beside the record comes first.
        self._plate = root / "plate.zarr" if (root / "plate.zarr").is_dir() else plate

    def _rows(self, name: str) -> list[dict[str, str]]:
        with (self.root / name).open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def wells(self) -> list[dict[str, str]]:
        """The well table, corrected where `review apply` has run; values as text, empty where there is none."""
        return self._rows("corrected/wells.csv" if (self.root / "corrected" / "corrected.json").is_file() else "wells.csv")

    def queue(self) -> list[tuple[str, int]]:
        """Fields in the order of `review queue`; empty where it was not made."""
        if not (self.root / "review" / "queue.csv").is_file():
            return []
        return [(row["well"], int(row["field"])) for row in self._rows("review/queue.csv")]

    def responses(self) -> list[dict[str, str]]:
        """The response table, likewise."""
        return self._rows("responses.csv")

    def fields(self, well: str) -> int:
        """Number of fields of a well that was analysed."""
        import zarr

        ome: Any = self._open(zarr, self._plate, well).attrs["ome"]
        return len(ome["well"]["images"])

    def read_field(self, well: str, field: int, frame: int = 1) -> FieldImage:
        """Pixels and the newest labels of a field and time point, both counted from 1. Raises StoreError."""
        import numpy as np
        import zarr

        group: Any = self._open(zarr, self._plate, f"{well}/{field - 1}")
        labels: Any = self._open(zarr, self.root / "labels.zarr", f"{well}/{field - 1}/labels")
        ome = group.attrs["ome"]
        scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
        return FieldImage(
            pixels=np.asarray(group["0"][...] if group["0"].ndim == 3 else group["0"][frame - 1]),
            channels=tuple(c["label"] for c in ome["omero"]["channels"]),
            roles=tuple(group.attrs["motor_neuron"]["roles"]),
            labels=self.review.labels({name: _plane(labels[f"{name}/0"], frame) for name in labels.attrs["ome"]["labels"]}, well, field),
            pixel_size_um=float(scale[-1]),
            label_version=self.review.head(well, field),
        )

    def engine_labels(self, well: str, field: int) -> dict[str, NDArray[np.int32]]:
        """A field's labels as the engine made them. Raises StoreError."""
        import zarr

        labels: Any = self._open(zarr, self.root / "labels.zarr", f"{well}/{field - 1}/labels")
        return {name: _plane(labels[f"{name}/0"], 1) for name in labels.attrs["ome"]["labels"]}

    @staticmethod
    def _open(zarr: Any, store: Path, path: str) -> Any:
        well, _, rest = path.partition("/")
        row, column = well.rstrip("0123456789"), well[len(well.rstrip("0123456789")) :]
        where = f"{row}/{int(column)}" + (f"/{rest}" if rest else "")
        try:
            return zarr.open_group(store / where, mode="r")
        except FileNotFoundError as error:
            raise StoreError(f"{store.name} has no {where}: well {well} was not analysed, or the store is incomplete") from error
